// One record of comma-separated values with the quoting rules of Go's encoding/csv, which is how Docker reads --mount,
// --secret, --output and the cache flags.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ctr {

/// Throws Error(Invalid) for a stray or missing quote, in Go's words.
std::vector<std::string> parse_csv_record(std::string_view text);

/// A field `key=value` (key lower case); no value: `key` alone.
struct CsvField {
  std::string key;
  std::optional<std::string> value;
  std::string text;  ///< the field as it was
};
std::vector<CsvField> parse_csv_fields(std::string_view text);

}  // namespace ctr
