#include "builder/bake_entry.h"

#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "builder/csv.h"
#include "builder/hcl.h"

namespace ctr {

namespace {

BakeEntry pairs_of(std::string_view text) {
  BakeEntry entry;
  for (const CsvField& field : parse_csv_fields(text)) {
    if (!field.value) throw Error(ErrorKind::Invalid, "invalid field '" + field.text + "': must be a key=value pair");
    entry[std::string(trim(field.key))] = *field.value;
  }
  return entry;
}

std::vector<BakeEntry> cache_entries(std::string_view text) {
  if (text.find('=') != std::string_view::npos) return {pairs_of(text)};
  std::vector<BakeEntry> entries;
  for (const std::string& reference : parse_csv_record(text))
    entries.push_back({{"type", "registry"}, {"ref", reference}});
  return entries;
}

BakeEntry output_entry(std::string_view text) {
  const bool is_path = text.find(',') == std::string_view::npos && !text.starts_with("type=");
  if (!is_path) return pairs_of(text);
  return {{"type", text == "-" ? "tar" : "local"}, {"dest", std::string(text)}};
}

BakeEntry ssh_entry(std::string_view text) {
  const std::size_t equals = text.find('=');
  BakeEntry entry = {{"id", std::string(text.substr(0, equals))}};
  if (equals != std::string_view::npos) entry["paths"] = text.substr(equals + 1);
  return entry;
}

BakeEntry secret_entry(std::string_view text) {
  BakeEntry entry = pairs_of(text);
  if (const auto source = entry.find("source"); source != entry.end()) {
    entry["src"] = source->second;
    entry.erase("source");
  }
  const auto type = entry.find("type");
  if (type == entry.end()) return entry;
  if (type->second == "env" && entry.count("src") > 0) {
    entry["env"] = entry["src"];
    entry.erase("src");
  }
  entry.erase("type");
  return entry;
}

BakeEntry from_object(BakeEntryKind kind, const Json& object) {
  BakeEntry entry;
  for (const auto& [key, value] : object.as_object()) {
    if (value.is_null()) continue;
    if (kind == BakeEntryKind::Ssh && value.is_array()) {
      std::vector<std::string> paths;
      for (const Json& path : value.as_array()) paths.push_back(hcl_text(path, key));
      entry[key] = join(paths, ",");
    } else {
      entry[key] = hcl_text(value, key);
    }
  }
  return entry;
}

}  // namespace

std::vector<BakeEntry> bake_entries(BakeEntryKind kind, const Json& value) {
  if (value.is_null()) return {};
  if (value.is_object()) {
    BakeEntry entry = from_object(kind, value);
    if (entry.empty()) return {};
    return {std::move(entry)};
  }
  const std::string text = hcl_text(value, "an entry");
  if (text.empty()) return {};
  switch (kind) {
    case BakeEntryKind::Cache:
      return cache_entries(text);
    case BakeEntryKind::Output:
      return {output_entry(text)};
    case BakeEntryKind::Secret:
      return {secret_entry(text)};
    case BakeEntryKind::Ssh:
      return {ssh_entry(text)};
    case BakeEntryKind::Attest:
      break;
  }
  return {pairs_of(text)};
}

std::string bake_entry_text(BakeEntryKind kind, const BakeEntry& entry) {
  if (kind == BakeEntryKind::Ssh) {
    const auto id = entry.find("id");
    const auto paths = entry.find("paths");
    return (id == entry.end() ? "" : id->second) +
           (paths == entry.end() || paths->second.empty() ? "" : "=" + paths->second);
  }
  std::string text;
  for (const auto& [key, value] : entry) {
    if (!text.empty()) text += ',';
    const std::string field = key + "=" + value;
    text += field.find_first_of(",\"\n") == std::string::npos ? field : "\"" + replace_all(field, "\"", "\"\"") + "\"";
  }
  return text;
}

Json bake_entry_json(BakeEntryKind kind, const BakeEntry& entry) {
  Json json = Json::object();
  // The order of buildx: a secret's and an ssh key's id goes first, the others are sorted.
  if (const auto id = entry.find("id"); id != entry.end()) json["id"] = id->second;
  for (const auto& [key, value] : entry) {
    if (kind == BakeEntryKind::Ssh && key == "paths") {
      json[key] = Json(split(value, ','));
    } else {
      json[key] = value;
    }
  }
  return json;
}

}  // namespace ctr
