// The variables and quotes of a word, as BuildKit's shell lexer reads them: $x ${x} ${x:-w} ${x-w} ${x:+w} ${x+w}
// ${x:?w}
// ${x?w} ${x#p} ${x##p} ${x%p} ${x%%p} ${x/p/r} ${x//p/r}. It looks like a shell and is none: no commands, no
// arithmetic, no substrings. Names that were looked up in vain are reported, for the lint rule UndefinedVar.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace ctr {

/// nullopt: not set.
using VariableLookup = std::function<std::optional<std::string>(std::string_view name)>;

/// Keep: what is quoted is not expanded, and the quotes stay. Ignore: a quote is a character like any other.
enum class QuoteHandling { Remove, Keep, Ignore };
enum class EscapeHandling { Remove, Keep };
enum class UnsetVariables { Empty, Keep };  ///< Keep: `$x` stays as written when x is not set

struct ExpandOptions {
  char escape = '\\';
  QuoteHandling quotes = QuoteHandling::Remove;  ///< Ignore for heredocs
  EscapeHandling escapes = EscapeHandling::Remove;
  UnsetVariables unset = UnsetVariables::Empty;
};

struct ExpandedWord {
  std::string text;
  std::set<std::string> set_names;    ///< variables that were used and had a value
  std::set<std::string> unset_names;  ///< variables that were used without a default and had none
};
struct ExpandedWords {
  std::vector<std::string> words;
  std::set<std::string> set_names;
  std::set<std::string> unset_names;
};

/// Throws Error(Invalid): "unexpected end of statement while looking for matching double-quote", "syntax error: missing
/// '}'", "x: message" of ${x:?message}, "unsupported modifier (…) in substitution".
ExpandedWord expand_word(std::string_view word, const VariableLookup& lookup, const ExpandOptions& options = {});

/// The same, and the result is split at blanks that are not quoted.
ExpandedWords expand_words(std::string_view word, const VariableLookup& lookup, const ExpandOptions& options = {});

}  // namespace ctr
