#include "cli/listing.h"

#include <algorithm>

#include "base/text.h"
#include "cli/output.h"
#include "cli/template.h"

namespace ctr {

namespace {

constexpr std::size_t kLeastColumnWidth = 10;  // Docker's tables have it

}  // namespace

std::size_t text_columns(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string ellipsis(std::string_view text, std::size_t columns) {
  if (text_columns(text) <= columns) return std::string(text);
  std::size_t end = 0;
  std::size_t taken = 0;
  while (end < text.size()) {
    const bool starts = (static_cast<unsigned char>(text[end]) & 0xC0) != 0x80;
    if (starts && ++taken == columns) break;
    ++end;
  }
  return std::string(text.substr(0, end)) + "\xE2\x80\xA6";
}

std::string align_columns(std::string_view text) {
  std::vector<std::vector<std::string>> lines;
  for (const std::string& line : split(text, '\n')) lines.push_back(split(line, '\t'));
  std::vector<std::size_t> widths;
  for (const auto& cells : lines) {
    // The last cell of a line does not belong to a column, as with Go's tabwriter.
    for (std::size_t i = 0; i + 1 < cells.size(); ++i) {
      if (widths.size() <= i) widths.resize(i + 1, kLeastColumnWidth);
      widths[i] = std::max(widths[i], text_columns(cells[i]) + 3);
    }
  }
  std::string out;
  for (const auto& cells : lines) {
    if (&cells != &lines.front()) out.push_back('\n');
    for (std::size_t i = 0; i < cells.size(); ++i) {
      out += cells[i];
      if (i + 1 < cells.size()) out.append(widths[i] - text_columns(cells[i]), ' ');
    }
  }
  return out;
}

namespace {

/// Docker lets people write \t and \n inside a shell's quotes.
std::string unescape(std::string_view format) {
  return replace_all(replace_all(std::string(format), "\\t", "\t"), "\\n", "\n");
}

void print_table(const Listing& listing, const std::string& columns) {
  const Template line = Template::parse(columns);
  Json headings = Json::object();
  for (const auto& [field, heading] : listing.headings) headings[field] = heading;
  std::string text = line.render(headings, Json::object({{"Label", headings}})) + "\n";
  for (const ListRow& row : listing.rows) text += line.render(row.fields, row.methods) + "\n";
  write_standard_out(align_columns(text));
}

}  // namespace

void print_listing(const Listing& listing, const std::string& format) {
  const std::string chosen = unescape(format.empty() || format == "table" ? listing.default_format : std::string_view(format));
  if (chosen.starts_with("table ") || chosen.starts_with("table\t")) {
    return print_table(listing, chosen.substr(6));
  }
  const Template line = Template::parse(chosen == "json" ? "{{json .}}" : chosen);
  for (const ListRow& row : listing.rows) write_standard_out(line.render(row.fields, row.methods) + "\n");
}

std::string render_document(const Json& document, const std::string& format) {
  if (format.empty()) return document.dump_pretty(4);
  if (format == "json") return document.dump();
  return Template::parse(unescape(format)).render(document);
}

}  // namespace ctr
