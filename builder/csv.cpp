#include "builder/csv.h"

#include "base/error.h"
#include "base/text.h"

namespace ctr {

namespace {

[[noreturn]] void fail(std::size_t column, const std::string& what) {
  throw Error(ErrorKind::Invalid, "parse error on column " + std::to_string(column + 1) + ": " + what);
}

// Reads a quoted field whose opening quote is at `at`; leaves `at` behind the closing one.
std::string take_quoted(std::string_view text, std::size_t& at) {
  std::string field;
  for (++at; at < text.size(); ++at) {
    if (text[at] != '"') {
      field += text[at];
    } else if (at + 1 < text.size() && text[at + 1] == '"') {
      field += text[at++];
    } else {
      ++at;
      if (at < text.size() && text[at] != ',') fail(at, "extraneous or missing \" in quoted-field");
      return field;
    }
  }
  fail(at, "extraneous or missing \" in quoted-field");
}

std::string take_plain(std::string_view text, std::size_t& at) {
  const std::size_t begin = at;
  for (; at < text.size() && text[at] != ','; ++at) {
    if (text[at] == '"') fail(at, "bare \" in non-quoted-field");
    if (text[at] == '\n') fail(at, "a line break outside quotes");
  }
  return std::string(text.substr(begin, at - begin));
}

}  // namespace

std::vector<std::string> parse_csv_record(std::string_view text) {
  if (text.ends_with('\n')) text.remove_suffix(1);
  if (text.ends_with('\r')) text.remove_suffix(1);
  if (text.empty()) throw Error(ErrorKind::Invalid, "the value is empty");
  std::vector<std::string> fields;
  for (std::size_t at = 0;; ++at) {
    fields.push_back(at < text.size() && text[at] == '"' ? take_quoted(text, at) : take_plain(text, at));
    if (at >= text.size()) return fields;
  }
}

std::vector<CsvField> parse_csv_fields(std::string_view text) {
  std::vector<CsvField> fields;
  for (std::string& record_field : parse_csv_record(text)) {
    CsvField field;
    const std::size_t equals = record_field.find('=');
    field.key = lower(std::string_view(record_field).substr(0, equals));
    if (equals != std::string::npos) field.value = record_field.substr(equals + 1);
    field.text = std::move(record_field);
    fields.push_back(std::move(field));
  }
  return fields;
}

}  // namespace ctr
