// Lists as Docker prints them: rows with named fields, a default table, and --format with "table …", "json" or a
// template of one's own.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace ctr {

struct ListRow {
  Json fields;   // an object of texts: {"ID": "…", "Image": "…"}
  Json methods;  // for {{.Label "x"}}: {"Label": {"x": "…"}}
};

struct Listing {
  /// "table {{.ID}}\t{{.Image}}"
  std::string_view default_format;
  /// The heading of each field that may stand in a table.
  std::map<std::string, std::string> headings;
  std::vector<ListRow> rows;
};

/// Prints to standard output. `format` empty is the default.
void print_listing(const Listing& listing, const std::string& format);

/// Columns separated by blanks, as wide as their widest cell and three more, as Go's tabwriter aligns them. Lines end
/// at newlines, cells at tabs.
std::string align_columns(std::string_view text);

/// One document with --format: a template, "json", or nothing: pretty JSON as `inspect` prints it.
std::string render_document(const Json& document, const std::string& format);

/// Characters, not bytes; one of two columns counts as one.
std::size_t text_columns(std::string_view text);
/// At most `columns` characters, the last one "…" when something was cut.
std::string ellipsis(std::string_view text, std::size_t columns);

}  // namespace ctr
