#include "builder/hcl_scanner.h"

#include <algorithm>
#include <vector>

#include "base/text.h"

namespace ctr {

namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool starts_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (static_cast<unsigned char>(c) & 0x80) != 0;
}
bool continues_name(char c) {
  return starts_name(c) || is_digit(c) || c == '-';
}

// Quotes and interpolations nest: "a ${b ? "c" : "d"}". Walks with a stack of what is open.
enum class Open { Quote, Braces };

// The offset behind the character that closes the last of `open`; npos if the text ends before.
std::size_t find_end(std::string_view text, std::size_t position, std::vector<Open> open) {
  while (position < text.size()) {
    const char c = text[position];
    if (open.back() == Open::Quote) {
      if (c == '\n') return std::string_view::npos;
      if (c == '\\') {
        position += 2;
        continue;
      }
      const bool doubled = position > 0 && text[position - 1] == c;
      if ((c == '$' || c == '%') && !doubled && text.substr(position + 1, 1) == "{") {
        open.push_back(Open::Braces);
        position += 2;
        continue;
      }
      if (c == '"') open.pop_back();
    } else if (c == '"') {
      open.push_back(Open::Quote);
    } else if (c == '{') {
      open.push_back(Open::Braces);
    } else if (c == '}') {
      open.pop_back();
    }
    ++position;
    if (open.empty()) return position;
  }
  return std::string_view::npos;
}

}  // namespace

std::size_t end_of_interpolation(std::string_view text, std::size_t from) {
  return find_end(text, from, {Open::Braces});
}

SourcePosition position_of(const SourceText& source, std::size_t offset) {
  const std::string_view before = std::string_view(source.text).substr(0, offset);
  const std::size_t newline = before.rfind('\n');
  const std::size_t column = newline == std::string_view::npos ? offset + 1 : offset - newline;
  return {static_cast<std::uint32_t>(1 + std::count(before.begin(), before.end(), '\n')),
          static_cast<std::uint32_t>(column)};
}

void fail_at(const SourceText& source, const std::string& sentence, std::size_t offset) {
  // The JSON form has no offsets: the file's name must do.
  if (source.text.empty()) throw SourceError(ErrorKind::Invalid, sentence, source, {});
  const SourcePosition place = position_of(source, offset);
  throw SourceError(ErrorKind::Invalid, sentence, source, {place, place});
}

void HclScanner::fail(const std::string& sentence, std::size_t offset) const {
  fail_at(source_, sentence, offset);
}

void HclScanner::skip_blanks() {
  const std::string_view text = std::string_view(source_.text).substr(0, end_);
  while (position_ < end_) {
    const std::string_view rest = text.substr(position_);
    if (rest.front() == ' ' || rest.front() == '\t' || rest.front() == '\r') {
      ++position_;
    } else if (rest.front() == '#' || rest.starts_with("//")) {
      position_ = std::min(text.find('\n', position_), end_);
    } else if (rest.starts_with("/*")) {
      const std::size_t close = text.find("*/", position_ + 2);
      if (close == std::string_view::npos) fail("unterminated comment", position_);
      position_ = close + 2;
    } else {
      return;
    }
  }
}

HclToken HclScanner::take(HclToken::Kind kind, std::size_t length) {
  HclToken token;
  token.kind = kind;
  token.offset = position_;
  token.text = std::string_view(source_.text).substr(position_, length);
  position_ += length;
  return token;
}

std::size_t HclScanner::end_of_quoted(std::size_t from) const {
  const std::string_view text = std::string_view(source_.text).substr(0, end_);
  const std::size_t end = find_end(text, from, {Open::Quote});
  if (end == std::string_view::npos) fail("unterminated string: expected \" before the end of the line", from - 1);
  return end;
}

HclToken HclScanner::take_heredoc() {
  const std::string_view text = std::string_view(source_.text).substr(0, end_);
  const std::size_t begin = position_;
  position_ += 2;
  HclToken token;
  token.kind = HclToken::Kind::Heredoc;
  token.flush_indentation = text.substr(position_, 1) == "-";
  if (token.flush_indentation) ++position_;
  const std::size_t line_end = text.find('\n', position_);
  const std::string_view name = trim(text.substr(position_, line_end - position_));
  if (name.empty() || line_end == std::string_view::npos || !std::all_of(name.begin(), name.end(), continues_name)) {
    fail("invalid heredoc: expected a name and a new line after <<", begin);
  }
  token.offset = line_end + 1;
  for (std::size_t line = line_end + 1; line < text.size();) {
    const std::size_t newline = std::min(text.find('\n', line), text.size());
    if (trim(text.substr(line, newline - line)) == name) {
      token.text = text.substr(token.offset, line - token.offset);
      position_ = newline;
      return token;
    }
    line = newline + 1;
  }
  fail("unterminated heredoc: expected a line with " + std::string(name) + " alone", begin);
}

HclToken HclScanner::next() {
  skip_blanks();
  HclToken end;
  end.offset = position_;
  if (position_ >= end_) return end;
  const std::string_view rest = std::string_view(source_.text).substr(position_, end_ - position_);
  const char c = rest.front();
  if (c == '\n') return take(HclToken::Kind::Newline, 1);
  if (starts_name(c)) {
    const auto stop = std::find_if_not(rest.begin(), rest.end(), continues_name);
    return take(HclToken::Kind::Name, static_cast<std::size_t>(stop - rest.begin()));
  }
  if (is_digit(c)) {
    std::size_t length = 0;
    const auto in_number = [&](std::size_t i) {
      const bool is_sign = (rest[i] == '+' || rest[i] == '-') && i > 0 && (rest[i - 1] == 'e' || rest[i - 1] == 'E');
      const bool is_point = rest[i] == '.' && i + 1 < rest.size() && is_digit(rest[i + 1]);
      return is_digit(rest[i]) || is_sign || is_point || rest[i] == 'e' || rest[i] == 'E';
    };
    while (length < rest.size() && in_number(length)) ++length;
    return take(HclToken::Kind::Number, length);
  }
  if (c == '"') {
    const std::size_t close = end_of_quoted(position_ + 1);
    ++position_;
    HclToken token = take(HclToken::Kind::Quoted, close - position_ - 1);
    position_ = close;
    return token;
  }
  if (rest.starts_with("<<")) return take_heredoc();
  for (const std::string_view symbol : {"...", "==", "!=", "<=", ">=", "&&", "||", "=>"}) {
    if (rest.starts_with(symbol)) return take(HclToken::Kind::Symbol, symbol.size());
  }
  if (std::string_view("{}[]()=:,.?!<>+-*/%").find(c) == std::string_view::npos) {
    fail("unexpected character", position_);
  }
  return take(HclToken::Kind::Symbol, 1);
}

}  // namespace ctr
