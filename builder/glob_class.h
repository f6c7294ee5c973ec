// A bracket class of a glob, [a-z] or [^a-z], as Go's filepath.Match reads it: what go_match and ignore_patterns share.
#pragma once

#include <string_view>
#include <vector>

namespace ctr {

class GlobClass {
 public:
  /// Reads a class off the front of `rest`, whose '[' is already taken. Throws Error(Invalid) "syntax error in
  /// pattern".
  static GlobClass parse(std::string_view& rest);

  bool contains(char32_t character) const noexcept;

 private:
  struct Range {
    char32_t low;
    char32_t high;
  };
  bool negated_ = false;
  std::vector<Range> ranges_;
};

}  // namespace ctr
