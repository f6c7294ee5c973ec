#include "builder/source_range.h"

#include <algorithm>

namespace ctr {

namespace {

constexpr std::size_t kMaxShownColumns = 160;
constexpr std::uint32_t kMaxShownLines = 12;

// A part of a long line around `column`, so that a megabyte never reaches the terminal.
struct ShownLine {
  std::string text;
  std::size_t marker_column = 0;  // from 0, in `text`
};

ShownLine cut_line(std::string_view line, std::uint32_t column) {
  const std::size_t position = column == 0 ? 0 : std::min<std::size_t>(column - 1, line.size());
  std::size_t begin = 0;
  std::size_t end = line.size();
  if (line.size() > kMaxShownColumns) {
    begin = position > kMaxShownColumns / 2 ? position - kMaxShownColumns / 2 : 0;
    end = std::min(line.size(), begin + kMaxShownColumns);
  }
  ShownLine shown;
  if (begin > 0) shown.text = "…";
  for (std::size_t i = begin; i < end; ++i) {
    // Control characters of a file must not reach a terminal; a tab becomes one blank so that the marker stays below.
    const auto byte = static_cast<unsigned char>(line[i]);
    if (i == position) shown.marker_column = shown.text.size();
    shown.text += byte == '\t' ? ' ' : byte < 0x20 || byte == 0x7f ? '?' : line[i];
  }
  if (position >= end) shown.marker_column = shown.text.size();
  if (end < line.size()) shown.text += "…";
  return shown;
}

// A sentence may quote the file, so the same goes for it.
std::string printable(std::string sentence) {
  for (char& c : sentence) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) c = '?';
  }
  return sentence;
}

// Columns that a text takes on the screen, one for each character.
std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string numbered(std::uint32_t number, std::size_t digits, std::string_view text) {
  std::string shown = std::to_string(number);
  shown.insert(0, digits > shown.size() ? digits - shown.size() : 0, ' ');
  return "  " + shown + " | " + std::string(text) + "\n";
}

}  // namespace

std::string_view SourceText::line(std::uint32_t number) const noexcept {
  std::string_view rest = text;
  for (std::uint32_t current = 1; current < number; ++current) {
    const std::size_t newline = rest.find('\n');
    if (newline == std::string_view::npos) return {};
    rest.remove_prefix(newline + 1);
  }
  std::string_view line = rest.substr(0, rest.find('\n'));
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

std::string show_source(const SourceText& source, const SourceRange& range) {
  if (range.start.line == 0) return source.name + ":";
  std::string shown = source.name + ":" + std::to_string(range.start.line) + ":" +
                      std::to_string(std::max<std::uint32_t>(range.start.column, 1)) + ":\n";
  const std::uint32_t last = std::max(range.start.line, range.end.line);
  const std::uint32_t last_shown = std::min(last, range.start.line + kMaxShownLines - 1);
  const std::size_t digits = std::to_string(last_shown).size();
  for (std::uint32_t number = range.start.line; number <= last_shown; ++number) {
    const std::string_view line = source.line(number);
    if (number != range.start.line) {
      shown += numbered(number, digits, cut_line(line, 1).text);
      continue;
    }
    const ShownLine first = cut_line(line, range.start.column);
    shown += numbered(number, digits, first.text);
    shown += "  " + std::string(digits, ' ') + " | ";
    shown += std::string(width(std::string_view(first.text).substr(0, first.marker_column)), ' ') + "^\n";
  }
  if (last > last_shown) shown += "  … " + std::to_string(last - last_shown) + " more lines\n";
  shown.pop_back();
  return shown;
}

SourceError::SourceError(ErrorKind kind, const std::string& sentence, const SourceText& source,
                         const SourceRange& range)
    : Error(kind, printable(sentence) + "\n" + show_source(source, range)),
      sentence_(std::make_shared<const std::string>(printable(sentence))),
      excerpt_(std::make_shared<const std::string>(show_source(source, range))),
      range_(range) {}

void throw_parse_error(const std::string& sentence, const SourceText& source, const SourceRange& range) {
  throw SourceError(ErrorKind::Invalid,
                    "dockerfile parse error on line " + std::to_string(range.start.line) + ": " + sentence, source,
                    range);
}

}  // namespace ctr
