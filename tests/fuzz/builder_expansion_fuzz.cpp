// Any bytes as a word with variables. The first byte chooses the options.
#include <cstddef>
#include <cstdint>

#include "base/error.h"
#include "builder/instruction_words.h"
#include "builder/word_expansion.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ctr;
  if (size == 0) return 0;
  const std::string_view word(reinterpret_cast<const char*>(data) + 1, size - 1);
  ExpandOptions options;
  options.escape = (data[0] & 1) != 0 ? '`' : '\\';
  options.quotes = (data[0] & 2) != 0    ? QuoteHandling::Keep
                   : (data[0] & 16) != 0 ? QuoteHandling::Ignore
                                         : QuoteHandling::Remove;
  options.escapes = (data[0] & 4) != 0 ? EscapeHandling::Keep : EscapeHandling::Remove;
  options.unset = (data[0] & 8) != 0 ? UnsetVariables::Keep : UnsetVariables::Empty;
  const VariableLookup lookup = [](std::string_view name) -> std::optional<std::string> {
    if (name == "A") return "a/b*c?d\\e";
    if (name == "E") return "";
    return std::nullopt;
  };
  try {
    expand_word(word, lookup, options);
    expand_words(word, lookup, options);
  } catch (const Error&) {
  }
  parse_heredoc_word(word);
  find_heredocs(word);
  split_quoted(word, options.escape);
  parse_json_array(word);
  return 0;
}
