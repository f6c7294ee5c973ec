#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "base/text.h"
#include "builder/hcl_parser.h"

namespace ctr {

namespace {

void append_utf8(std::string& text, std::uint32_t code) {
  const auto byte = [&](std::uint32_t value) { text += static_cast<char>(value); };
  if (code < 0x80) {
    byte(code);
  } else if (code < 0x800) {
    byte(0xC0 | code >> 6);
    byte(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    byte(0xE0 | code >> 12);
    byte(0x80 | (code >> 6 & 0x3F));
    byte(0x80 | (code & 0x3F));
  } else {
    byte(0xF0 | code >> 18);
    byte(0x80 | (code >> 12 & 0x3F));
    byte(0x80 | (code >> 6 & 0x3F));
    byte(0x80 | (code & 0x3F));
  }
}

class TemplateParser {
 public:
  TemplateParser(const SourceText& source, std::string_view text, std::size_t offset, HclTemplateForm form, int depth)
      : source_(source), text_(text), offset_(offset), form_(form), depth_(depth) {
    result_.kind = HclExpression::Kind::Template;
    result_.offset = offset;
  }

  HclExpression parse() {
    if (depth_ > kMaxHclDepth) fail_at(source_, "nested too deeply", offset_);
    while (position_ < text_.size()) parse_part();
    flush();
    if (result_.children.empty()) return literal("");
    const bool is_plain = result_.children.size() == 1 &&
                          result_.children.front().kind == HclExpression::Kind::Literal &&
                          result_.children.front().literal.is_string();
    return is_plain ? std::move(result_.children.front()) : std::move(result_);
  }

 private:
  HclExpression literal(std::string text) const {
    HclExpression expression;
    expression.literal = Json(std::move(text));
    expression.offset = offset_;
    return expression;
  }

  // The literal text so far becomes a part. ~} takes the blanks after it, ${~ those before.
  void flush() {
    if (!plain_.empty()) result_.children.push_back(literal(std::exchange(plain_, {})));
  }

  void parse_part() {
    const std::string_view rest = text_.substr(position_);
    if (rest.starts_with("$${") || rest.starts_with("%%{")) {
      plain_ += rest.substr(1, 2);
      position_ += 3;
    } else if (rest.starts_with("%{")) {
      fail_at(source_, "template directives (%{…}) are not supported yet", offset_ + position_);
    } else if (rest.starts_with("${")) {
      parse_interpolation();
    } else if (rest.front() == '\\' && form_ == HclTemplateForm::Quoted) {
      parse_escape();
    } else {
      plain_ += rest.front();
      ++position_;
    }
  }

  void parse_interpolation() {
    const std::size_t begin = position_ + 2;
    const std::size_t end = end_of_interpolation(text_, begin);
    if (end == std::string_view::npos) fail_at(source_, "unterminated ${: expected }", offset_ + position_);
    const bool trims_before = text_.substr(begin, 1) == "~";
    const bool trims_after = end - 1 > begin && text_[end - 2] == '~';
    if (trims_before) {
      while (!plain_.empty() && std::string_view(" \t\r\n").find(plain_.back()) != std::string_view::npos)
        plain_.pop_back();
    }
    flush();
    HclParser inner(source_, offset_ + begin + (trims_before ? 1 : 0), offset_ + end - 1 - (trims_after ? 1 : 0),
                    depth_ + 1);
    result_.children.push_back(inner.parse_interpolation());
    position_ = end;
    while (trims_after && position_ < text_.size() &&
           std::string_view(" \t\r\n").find(text_[position_]) != std::string_view::npos) {
      ++position_;
    }
  }

  void parse_escape() {
    const char c = position_ + 1 < text_.size() ? text_[position_ + 1] : '\0';
    const std::size_t at = position_;
    position_ += 2;
    switch (c) {
      case 'n':
        plain_ += '\n';
        return;
      case 'r':
        plain_ += '\r';
        return;
      case 't':
        plain_ += '\t';
        return;
      case '"':
        plain_ += '"';
        return;
      case '\\':
        plain_ += '\\';
        return;
      case 'u':
      case 'U':
        break;
      default:
        fail_at(source_, "invalid escape in a string: expected \\n \\r \\t \\\" \\\\ \\uNNNN or \\UNNNNNNNN",
                offset_ + at);
    }
    const std::size_t digits = c == 'u' ? 4 : 8;
    const std::optional<std::uint64_t> code = parse_uint(text_.substr(position_, digits), 16);
    const bool is_valid =
        code && position_ + digits <= text_.size() && *code <= 0x10FFFF && (*code < 0xD800 || *code > 0xDFFF);
    if (!is_valid)
      fail_at(source_, "invalid escape in a string: expected hexadecimal digits of a character", offset_ + at);
    append_utf8(plain_, static_cast<std::uint32_t>(*code));
    position_ += digits;
  }

  const SourceText& source_;
  std::string_view text_;
  std::size_t offset_;
  HclTemplateForm form_;
  int depth_;
  std::size_t position_ = 0;
  std::string plain_;
  HclExpression result_;
};

std::size_t indentation(std::string_view line) {
  return std::min(line.find_first_not_of(" \t"), line.size());
}

// What all lines that are not blank have in common.
std::size_t common_indentation(std::string_view text) {
  std::size_t common = std::numeric_limits<std::size_t>::max();
  while (!text.empty()) {
    const std::size_t newline = std::min(text.find('\n'), text.size() - 1);
    const std::string_view line = text.substr(0, newline + 1);
    if (!trim(line).empty()) common = std::min(common, indentation(line));
    text.remove_prefix(newline + 1);
  }
  return common;
}

// Takes up to `count` blanks off the beginning of each line of literal text.
std::string without_indentation(std::string_view text, std::size_t count, bool at_line_start) {
  std::string out;
  std::size_t left = at_line_start ? count : 0;
  for (const char c : text) {
    if (left > 0 && (c == ' ' || c == '\t')) {
      --left;
      continue;
    }
    left = c == '\n' ? count : 0;
    out += c;
  }
  return out;
}

}  // namespace

HclExpression parse_hcl_template(const SourceText& source, std::string_view text, std::size_t offset,
                                 HclTemplateForm form, int depth) {
  return TemplateParser(source, text, offset, form, depth).parse();
}

HclExpression parse_hcl_flush_heredoc(const SourceText& source, std::string_view text, std::size_t offset, int depth) {
  HclExpression expression = parse_hcl_template(source, text, offset, HclTemplateForm::Heredoc, depth);
  const std::size_t count = common_indentation(text);
  if (expression.kind == HclExpression::Kind::Literal) {
    expression.literal = Json(without_indentation(expression.literal.as_string(), count, true));
    return expression;
  }
  bool at_line_start = true;
  for (HclExpression& part : expression.children) {
    if (part.kind != HclExpression::Kind::Literal || !part.literal.is_string()) {
      at_line_start = false;
      continue;
    }
    const std::string before = part.literal.as_string();
    part.literal = Json(without_indentation(before, count, at_line_start));
    at_line_start = before.ends_with('\n');
  }
  return expression;
}

}  // namespace ctr
