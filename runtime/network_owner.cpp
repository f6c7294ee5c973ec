#include "runtime/network_owner.h"

#include <algorithm>
#include <cstdint>

namespace ctr {
namespace {

// A table's comment holds 127 bytes, an alias 255.
constexpr std::size_t kLongestMark = 120;
constexpr const char* kUsualRun = "/run/ctr";

}  // namespace

std::string short_hash(std::string_view text, std::size_t digits) {
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a, then mixed so that each digit depends on each byte
  for (char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  hash = (hash ^ (hash >> 33)) * 0xff51afd7ed558ccd;
  hash ^= hash >> 33;
  std::string hex;
  for (std::size_t i = 0; i < std::min<std::size_t>(digits, 16); ++i) {
    hex += "0123456789abcdef"[(hash >> (60 - 4 * i)) & 15];
  }
  return hex;
}

std::string owner_mark(const Paths& paths) {
  std::string mark = "ctr " + paths.run.string();
  if (mark.size() > kLongestMark) mark = mark.substr(0, kLongestMark - 17) + "#" + short_hash(mark, 16);
  return mark;
}

std::string owner_suffix(const Paths& paths) {
  return paths.run == kUsualRun ? std::string() : "-" + short_hash(paths.run.string(), 8);
}

}  // namespace ctr
