// How the text of an instruction falls into words: keyword, flags, then the rest as blanks-separated words, as words
// whose quotes are kept for later expansion, or as a JSON array. What each instruction uses is instruction_parser's
// business. Views point into the line's text wherever nothing had to be unquoted, so that errors know their column.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "builder/instructions.h"

namespace ctr {

/// A `--name[=value]` in front of an instruction's arguments, unquoted.
struct InstructionFlag {
  std::string name;                  ///< without "--"
  std::optional<std::string> value;  ///< nothing: no "="
  std::string_view place;            ///< as written
};

struct SplitInstruction {
  std::string_view keyword;
  std::vector<InstructionFlag> flags;
  std::string_view rest;  ///< what follows keyword and flags, blanks trimmed
};

SplitInstruction split_instruction(std::string_view text);

/// Separated by blanks; quotes mean nothing.
std::vector<std::string_view> split_blanks(std::string_view text);

/// Separated by blanks outside quotes; quotes and escapes are kept.
std::vector<std::string> split_quoted(std::string_view text, char escape);

enum class JsonArrayKind { None, Strings, NotOnlyStrings };
/// The elements of a JSON array of strings. `kind` says whether the text is one; anything that is no JSON array is
/// None.
struct JsonArray {
  JsonArrayKind kind = JsonArrayKind::None;
  std::vector<std::string> elements;
};
JsonArray parse_json_array(std::string_view text);

/// `<<NAME`, `<<-NAME`, `3<<"NAME"`: the heredoc that this word announces, without content; nothing if it announces
/// none.
std::optional<Heredoc> parse_heredoc_word(std::string_view word);

/// The heredocs that a line announces, in order.
std::vector<Heredoc> find_heredocs(std::string_view line);

}  // namespace ctr
