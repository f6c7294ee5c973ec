#include "builder/glob_class.h"

#include "base/error.h"
#include "builder/utf8.h"

namespace ctr {

namespace {

[[noreturn]] void fail() {
  throw Error(ErrorKind::Invalid, "syntax error in pattern");
}

char32_t take_class_character(std::string_view& rest) {
  if (rest.empty() || rest.front() == '-' || rest.front() == ']') fail();
  if (rest.front() == '\\') rest.remove_prefix(1);
  if (rest.empty()) fail();
  return take_character(rest);
}

}  // namespace

GlobClass GlobClass::parse(std::string_view& rest) {
  GlobClass result;
  result.negated_ = rest.starts_with('^');
  if (result.negated_) rest.remove_prefix(1);
  while (result.ranges_.empty() || !rest.starts_with(']')) {
    const char32_t low = take_class_character(rest);
    char32_t high = low;
    if (rest.starts_with('-')) {
      rest.remove_prefix(1);
      high = take_class_character(rest);
    }
    result.ranges_.push_back({low, high});
    if (rest.empty()) fail();
  }
  rest.remove_prefix(1);
  return result;
}

bool GlobClass::contains(char32_t character) const noexcept {
  bool inside = false;
  for (const Range& range : ranges_) inside = inside || (range.low <= character && character <= range.high);
  return inside != negated_;
}

}  // namespace ctr
