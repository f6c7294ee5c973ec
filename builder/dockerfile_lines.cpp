#include "builder/dockerfile_lines.h"

#include <algorithm>

#include "base/text.h"
#include "builder/utf8.h"

namespace ctr {

namespace {

// Together these bound memory: a parsed word costs up to sixty times its text. Heredoc bodies are not counted.
constexpr std::size_t kMaxLineBytes = 1 << 20;
constexpr std::size_t kMaxInstructionBytes = 4 << 20;
constexpr std::size_t kLineOverhead = 8;  // a continuation line costs memory even if it is empty
constexpr std::size_t kMaxComments = 64;

bool is_blank(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

std::string_view trim_left(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  return text;
}

std::string_view without_newline(std::string_view line) {
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
  return line;
}

bool is_comment(std::string_view line) {
  const std::string_view trimmed = trim_left(line);
  return !trimmed.empty() && trimmed.front() == '#';
}

// Only the last comments before an instruction matter; a file may have millions of others.
void keep_comment(std::vector<std::string>& comments, std::string_view comment) {
  if (comments.size() >= 2 * kMaxComments) comments.erase(comments.begin(), comments.begin() + kMaxComments);
  comments.emplace_back(comment);
}

std::uint32_t as_column(std::size_t offset) {
  return static_cast<std::uint32_t>(offset + 1);
}

// The position of the first byte that is no valid UTF-8, or a NUL.
std::optional<std::size_t> find_bad_byte(std::string_view text) {
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::size_t position = text.size() - rest.size();
    const char32_t character = take_character(rest);
    const bool is_broken = character == 0xFFFD && text.size() - rest.size() == position + 1;
    if (character == 0 || is_broken) return position;
  }
  return std::nullopt;
}

struct NameValue {
  std::string name;
  std::string value;
};

// `# name = value` or `// name = value`; nothing if the line is anything else.
std::optional<NameValue> parse_directive(std::string_view line) {
  std::string_view rest = trim_left(line);
  if (rest.starts_with("#")) {
    rest.remove_prefix(1);
  } else if (rest.starts_with("//")) {
    rest.remove_prefix(2);
  } else {
    return std::nullopt;
  }
  rest = trim_left(rest);
  std::size_t length = 0;
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  while (length < rest.size() &&
         (is_letter(rest[length]) || (length > 0 && rest[length] >= '0' && rest[length] <= '9'))) {
    ++length;
  }
  if (length == 0) return std::nullopt;
  const std::string name = lower(rest.substr(0, length));
  rest = trim_left(rest.substr(length));
  if (!rest.starts_with("=")) return std::nullopt;
  const std::string_view value = trim(rest.substr(1));
  if (value.empty()) return std::nullopt;
  return NameValue{name, std::string(value)};
}

}  // namespace

SourcePosition LogicalLine::position(std::size_t offset) const {
  if (pieces_.empty()) return {first_line, 1};
  const auto after = std::upper_bound(pieces_.begin(), pieces_.end(), offset,
                                      [](std::size_t value, const Piece& piece) { return value < piece.offset; });
  const Piece& piece = after == pieces_.begin() ? pieces_.front() : *std::prev(after);
  return {piece.start.line, piece.start.column + static_cast<std::uint32_t>(offset - piece.offset)};
}

void LogicalLine::append(std::string_view piece, std::uint32_t line, std::uint32_t column) {
  pieces_.push_back({text.size(), {line, column}});
  text += piece;
  last_line = line;
  last_column = column + static_cast<std::uint32_t>(piece.empty() ? 0 : piece.size() - 1);
}

DockerfileLines::DockerfileLines(const SourceText& source) : source_(source) {
  if (source_.text.starts_with("\xEF\xBB\xBF")) position_ = 3;
  read_directives();
}

// Directives end at the first line that is none. A "#!" line before them is skipped, so that a Dockerfile may be a
// script.
void DockerfileLines::read_directives() {
  static constexpr std::string_view kNames[] = {"syntax", "escape", "check"};
  const std::size_t begin = position_;
  while (const std::optional<std::string_view> line = read_line()) {
    if (line_number_ == 1 && line->starts_with("#!")) continue;
    std::optional<NameValue> parsed = parse_directive(without_newline(*line));
    if (!parsed || std::find(std::begin(kNames), std::end(kNames), parsed->name) == std::end(kNames)) break;
    // The form with // is for frontends of other languages; only their syntax directive means something here.
    const bool slashes = trim_left(*line).starts_with("//");
    if (slashes && parsed->name != "syntax") break;
    const SourceRange range{{line_number_, 1}, {line_number_, as_column(without_newline(*line).size()) - 1}};
    for (const Directive& earlier : directives_) {
      if (earlier.name == parsed->name) {
        throw_parse_error("only one " + parsed->name + " parser directive can be used", source_, range);
      }
    }
    if (parsed->name == "escape") {
      if (parsed->value != "\\" && parsed->value != "`") {
        throw_parse_error("invalid ESCAPE directive '" + parsed->value + "': it must be ` or \\", source_, range);
      }
      escape_ = parsed->value.front();
    }
    directives_.push_back({parsed->name, parsed->value, range});
  }
  position_ = begin;
  line_number_ = 0;
}

std::optional<std::string_view> DockerfileLines::read_line() {
  const std::string_view text = source_.text;
  if (position_ >= text.size()) return std::nullopt;
  const std::size_t newline = text.find('\n', position_);
  const std::size_t end = newline == std::string_view::npos ? text.size() : newline + 1;
  const std::string_view line = text.substr(position_, end - position_);
  position_ = end;
  ++line_number_;
  line_columns_ = static_cast<std::uint32_t>(without_newline(line).size());
  return line;
}

void DockerfileLines::check_line(std::string_view line) const {
  if (line.size() > kMaxLineBytes) {
    throw_parse_error("dockerfile line greater than maximum allowed size of " + std::to_string(kMaxLineBytes), source_,
                      {{line_number_, 1}, {line_number_, 1}});
  }
  if (const std::optional<std::size_t> bad = find_bad_byte(line)) {
    const SourcePosition place{line_number_, as_column(*bad)};
    throw_parse_error(line[*bad] == '\0' ? "the line holds a NUL byte" : "the line is not valid UTF-8", source_,
                      {place, place});
  }
}

// Cuts the escape character (and blanks after it) off the end. An escaped escape character at the end is none.
bool DockerfileLines::take_continuation(std::string_view& line) const {
  std::string_view rest = line;
  while (!rest.empty() && (rest.back() == ' ' || rest.back() == '\t')) rest.remove_suffix(1);
  if (rest.empty() || rest.back() != escape_) return false;
  rest.remove_suffix(1);
  if (!rest.empty() && rest.back() == escape_) return false;
  line = rest;
  return true;
}

std::optional<LogicalLine> DockerfileLines::next() {
  LogicalLine logical;
  bool continues = false;
  bool has_empty_line = false;
  while (const std::optional<std::string_view> raw = read_line()) {
    const std::string_view line = without_newline(*raw);
    if (is_comment(line)) {
      if (!continues) keep_comment(logical.comments, trim(trim_left(line).substr(1)));
      continue;
    }
    const std::string_view trimmed = trim_left(line);
    if (trimmed.empty()) {
      if (!continues) logical.comments.clear();
      has_empty_line = has_empty_line || continues;
      continue;
    }
    check_line(line);
    // Leading blanks belong to the text of a continued line, but not to the start of an instruction.
    std::string_view piece = continues ? line : trimmed;
    if (!continues) logical.first_line = line_number_;
    const std::uint32_t column = as_column(line.size() - piece.size());
    continues = take_continuation(piece);
    logical.append(piece, line_number_, column);
    instruction_bytes_ += piece.size() + kLineOverhead;
    if (instruction_bytes_ > kMaxInstructionBytes) {
      throw_parse_error("the instructions are longer than " + std::to_string(kMaxInstructionBytes) +
                            " bytes in all; put large content into a heredoc or a file",
                        source_, {{line_number_, 1}, {line_number_, 1}});
    }
    if (!continues && !logical.text.empty()) break;
  }
  if (logical.first_line == 0 || trim(logical.text).empty()) return std::nullopt;
  if (has_empty_line) {
    empty_continuations_.push_back({logical.position(0), {logical.last_line, logical.last_column}});
  }
  return logical;
}

std::optional<DockerfileLines::HeredocBody> DockerfileLines::read_heredoc(std::string_view name, bool strip_tabs) {
  const std::size_t begin = position_;
  HeredocBody body;
  body.range = {{line_number_ + 1, 1}, {line_number_ + 1, 1}};
  while (const std::optional<std::string_view> line = read_line()) {
    const std::size_t line_begin = position_ - line->size();
    std::string_view candidate = without_newline(*line);
    while (strip_tabs && candidate.starts_with('\t')) candidate.remove_prefix(1);
    if (candidate == name) {
      body.content = source_.text.substr(begin, line_begin - begin);
      return body;
    }
    body.range.end = {line_number_, as_column(without_newline(*line).size())};
  }
  return std::nullopt;
}

}  // namespace ctr
