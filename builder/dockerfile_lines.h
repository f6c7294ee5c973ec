// A Dockerfile's physical lines made into logical ones: comments dropped, continuations joined, directives on top read,
// heredoc bodies cut out on request. Each byte of a logical line knows its line and column in the file, so that an
// error can point at it. Knows no instruction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "builder/source_range.h"

namespace ctr {

/// One instruction's text, continuations joined, no newline in it.
class LogicalLine {
 public:
  std::string text;
  std::vector<std::string> comments;  ///< the comment lines right above, without '#' and blanks
  std::uint32_t first_line = 0;
  std::uint32_t last_line = 0;  ///< without heredocs
  std::uint32_t last_column = 0;

  /// Where the byte at `offset` of `text` stands in the file.
  SourcePosition position(std::size_t offset) const;

  /// Appends a piece of a physical line that begins at that line and column.
  void append(std::string_view piece, std::uint32_t line, std::uint32_t column);

 private:
  struct Piece {
    std::size_t offset;
    SourcePosition start;
  };
  std::vector<Piece> pieces_;
};

class DockerfileLines {
 public:
  struct Directive {
    std::string name;  ///< lower case
    std::string value;
    SourceRange range;
  };

  /// Reads the directives on top. Throws a parse error for one given twice or a bad escape character.
  explicit DockerfileLines(const SourceText& source);

  const std::vector<Directive>& directives() const noexcept { return directives_; }
  char escape() const noexcept { return escape_; }

  /// The next instruction, or nothing at the end. Throws if a line is too long or not UTF-8.
  std::optional<LogicalLine> next();

  struct HeredocBody {
    std::string content;  ///< the lines with their newlines
    SourceRange range;    ///< of the content; where it would be if it is empty
  };
  /// The lines up to one that is `name` alone (tabs before it are skipped if `strip_tabs`), or nothing if the file
  /// ends before.
  std::optional<HeredocBody> read_heredoc(std::string_view name, bool strip_tabs);

  /// The number of the last line that was read, and its last byte.
  std::uint32_t line_number() const noexcept { return line_number_; }
  SourcePosition end_of_line() const noexcept { return {line_number_, line_columns_}; }

  /// Blank lines inside a continued instruction: one range an instruction.
  const std::vector<SourceRange>& empty_continuations() const noexcept { return empty_continuations_; }

 private:
  void read_directives();
  std::optional<std::string_view> read_line();
  void check_line(std::string_view line) const;
  bool take_continuation(std::string_view& line) const;

  const SourceText& source_;
  std::size_t position_ = 0;
  std::uint32_t line_number_ = 0;
  std::uint32_t line_columns_ = 0;
  char escape_ = '\\';
  std::size_t instruction_bytes_ = 0;
  std::vector<Directive> directives_;
  std::vector<SourceRange> empty_continuations_;
};

}  // namespace ctr
