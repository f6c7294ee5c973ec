#include "image/entry.h"

#include "base/error.h"

namespace ctr {

namespace {

constexpr std::size_t kNameLimit = 255;
constexpr std::size_t kPathLimit = 4095;

// '/' sorts below every other byte, so that a directory's content comes right behind it.
int rank(char c) {
  return c == '/' ? 0 : static_cast<unsigned char>(c) + 1;
}

[[noreturn]] void refuse(std::string_view path, const char* why) {
  throw Error(ErrorKind::Invalid, "path \"" + std::string(path.substr(0, 200)) + "\" " + why);
}

}  // namespace

std::strong_ordering compare_paths(std::string_view left, std::string_view right) {
  const std::size_t common = left.size() < right.size() ? left.size() : right.size();
  for (std::size_t i = 0; i < common; ++i) {
    if (left[i] != right[i]) return rank(left[i]) <=> rank(right[i]);
  }
  return left.size() <=> right.size();
}

std::string_view parent_path(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}

std::string_view base_name(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

std::string clean_entry_path(std::string_view path) {
  std::string result;
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view component = path.substr(begin, end - begin);
    begin = end + 1;
    if (component.empty() || component == ".") continue;
    if (component == "..") refuse(path, "leads out of the layer");
    if (component.size() > kNameLimit) refuse(path, "has a name of more than 255 bytes");
    if (component.find('\0') != std::string_view::npos) refuse(path, "has a NUL");
    if (!result.empty()) result += '/';
    result += component;
  }
  if (result.size() > kPathLimit) refuse(path, "has more than 4095 bytes");
  return result;
}

}  // namespace ctr
