#include "engine/mount_mapping.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "base/text.h"

namespace ctr {
namespace {

constexpr std::uint64_t kIds = 0xFFFFFFFF;  // the last one means "no id"
constexpr std::size_t kMostRanges = 340;    // the kernel's limit

[[noreturn]] void refuse(std::string_view text) {
  throw Error(ErrorKind::Invalid, "invalid idmap \"" + std::string(text) +
                                      "\": it is uids=DISK-CONTAINER-COUNT[#…];gids=DISK-CONTAINER-COUNT[#…]");
}

std::vector<IdMapping> parse_ranges(std::string_view text, std::string_view whole) {
  std::vector<IdMapping> ranges;
  for (const std::string& range : split(text, '#')) {
    std::vector<std::uint32_t> numbers;
    for (const std::string& word : split(range, '-')) {
      const std::optional<std::uint64_t> number = parse_uint(word);
      if (!number || *number > kIds) refuse(whole);
      numbers.push_back(static_cast<std::uint32_t>(*number));
    }
    if (numbers.size() != 3 || numbers[2] == 0) refuse(whole);
    ranges.push_back({numbers[0], numbers[1], numbers[2]});
  }
  if (ranges.empty() || ranges.size() > kMostRanges) refuse(whole);
  return ranges;
}

/// Who called sudo, if that is how root came to be.
std::uint32_t caller_id(const char* variable, std::uint32_t own) {
  const char* text = std::getenv(variable);
  if (::geteuid() != 0 || text == nullptr) return own;
  const std::optional<std::uint64_t> id = parse_uint(text);
  return id && *id < kIds ? static_cast<std::uint32_t>(*id) : own;
}

}  // namespace

MountMapping parse_mount_mapping(std::string_view text) {
  MountMapping mapping;
  for (const std::string& part : split(text, ';')) {
    const auto pair = cut(part, '=');
    if (!pair || (pair->first != "uids" && pair->first != "gids")) refuse(text);
    std::vector<IdMapping>& ranges = pair->first == "uids" ? mapping.uids : mapping.gids;
    if (!ranges.empty()) refuse(text);
    ranges = parse_ranges(pair->second, text);
  }
  if (mapping.uids.empty() || mapping.gids.empty()) refuse(text);
  return mapping;
}

std::string swapped_ids(std::uint32_t on_disk, std::uint32_t inside) {
  const std::uint64_t low = std::min(on_disk, inside);
  const std::uint64_t high = std::max(on_disk, inside);
  std::vector<std::string> ranges;
  const auto add = [&](std::uint64_t disk, std::uint64_t container, std::uint64_t count) {
    if (count == 0) return;
    ranges.push_back(std::to_string(disk) + "-" + std::to_string(container) + "-" + std::to_string(count));
  };
  add(0, 0, low);
  add(low, high, 1);
  if (low != high) {
    add(low + 1, low + 1, high - low - 1);
    add(high, low, 1);
  }
  add(high + 1, high + 1, kIds - high - 1);
  return join(ranges, "#");
}

std::string caller_mapping(const ResolvedUser& inside) {
  const std::uint32_t uid = caller_id("SUDO_UID", ::getuid());
  const std::uint32_t gid = caller_id("SUDO_GID", ::getgid());
  if (uid == inside.uid && gid == inside.gid) return {};
  return "uids=" + swapped_ids(uid, inside.uid) + ";gids=" + swapped_ids(gid, inside.gid);
}

}  // namespace ctr
