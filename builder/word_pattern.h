// The patterns inside ${x#p}, ${x%p} and ${x/p/r}: `*` is any text, slashes included, `?` any character, a backslash
// quotes either of them. No brackets. Matching is linear in the text for each state of the pattern, so no pattern is
// slow.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace ctr {

class WordPattern {
 public:
  enum class Length { Shortest, Longest };
  enum class Occurrences { First, All };

  /// Throws Error(Invalid) "invalid pattern (…) in substitution: …".
  static WordPattern parse(std::string_view text);

  std::string without_prefix(const std::string& text, Length length) const;
  std::string without_suffix(const std::string& text, Length length) const;

  /// Replaces the leftmost longest match, or each. Throws if the result gets longer than `limit_bytes`.
  std::string replace(const std::string& text, const std::string& replacement, Occurrences occurrences,
                      std::size_t limit_bytes) const;

 private:
  struct Item {
    enum class Kind { Character, AnyCharacter, AnyText };
    Kind kind;
    std::string character;  // one character in UTF-8
  };

  std::vector<Item> items_;
};

}  // namespace ctr
