// HCL's characters as tokens. Newlines are tokens, because they end attributes; comments are none. A template (quoted
// or heredoc) is one token whose raw text hcl_template.cpp takes apart.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "builder/source_range.h"

namespace ctr {

struct HclToken {
  enum class Kind { End, Newline, Name, Number, Quoted, Heredoc, Symbol };
  Kind kind = Kind::End;
  std::string_view text;           ///< Quoted: between the quotes; Heredoc: the lines; else the token itself
  std::size_t offset = 0;          ///< of `text` in the file
  bool flush_indentation = false;  ///< <<-
};

class HclScanner {
 public:
  explicit HclScanner(const SourceText& source, std::size_t begin, std::size_t end)
      : source_(source), position_(begin), end_(end) {}

  HclToken next();

  [[noreturn]] void fail(const std::string& sentence, std::size_t offset) const;

 private:
  void skip_blanks();
  std::size_t end_of_quoted(std::size_t from) const;
  HclToken take_heredoc();
  HclToken take(HclToken::Kind kind, std::size_t length);

  const SourceText& source_;
  std::size_t position_;
  std::size_t end_;
};

/// The offset behind the `}` that closes an interpolation whose inside begins at `from`. Knows quotes and braces.
std::size_t end_of_interpolation(std::string_view text, std::size_t from);

/// Line and column of an offset.
SourcePosition position_of(const SourceText& source, std::size_t offset);

/// Throws a SourceError at an offset.
[[noreturn]] void fail_at(const SourceText& source, const std::string& sentence, std::size_t offset);

}  // namespace ctr
