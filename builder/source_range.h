// Where something stands in a Dockerfile, and the error that shows it. Lines and columns count from 1, columns
// in bytes. A SourceError carries Docker's sentence, the place and the lines themselves, so that whoever prints
// what() shows everything and nobody needs the file again. Knows nothing about instructions.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"

namespace ctr {

struct SourcePosition {
  std::uint32_t line = 0;    ///< from 1; 0 is "nowhere"
  std::uint32_t column = 0;  ///< from 1, in bytes
  friend bool operator==(const SourcePosition&, const SourcePosition&) = default;
};

/// From `start` up to the last byte at `end`, both included.
struct SourceRange {
  SourcePosition start;
  SourcePosition end;
  friend bool operator==(const SourceRange&, const SourceRange&) = default;
};

/// A file's name as the user knows it, and its text. Shared by all that points into it.
struct SourceText {
  std::string name;
  std::string text;

  /// Line `number` (from 1) without its end of line; empty if there is none.
  std::string_view line(std::uint32_t number) const noexcept;
};
using SharedSource = std::shared_ptr<const SourceText>;

/// `Dockerfile:3:1:` and below it the numbered lines of `range` (long ones cut, many shortened), the place marked.
std::string show_source(const SourceText& source, const SourceRange& range);

/// An error at a place of a source file. what() is the sentence, then show_source() on the lines below it.
class SourceError : public Error {
 public:
  SourceError(ErrorKind kind, const std::string& sentence, const SourceText& source, const SourceRange& range);

  const std::string& sentence() const noexcept { return *sentence_; }
  const std::string& excerpt() const noexcept { return *excerpt_; }
  const SourceRange& range() const noexcept { return range_; }

 private:
  std::shared_ptr<const std::string> sentence_;  // shared, because copying an exception must not throw
  std::shared_ptr<const std::string> excerpt_;
  SourceRange range_;
};

/// A SourceError in BuildKit's words: "dockerfile parse error on line N: " and the sentence.
[[noreturn]] void throw_parse_error(const std::string& sentence, const SourceText& source, const SourceRange& range);

}  // namespace ctr
