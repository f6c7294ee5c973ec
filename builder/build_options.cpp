#include "builder/build_options.h"

#include <algorithm>
#include <cstdlib>
#include <initializer_list>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "builder/csv.h"

namespace ctr {

namespace {

using Names = std::vector<std::string>;

[[noreturn]] void fail(const std::string& sentence) {
  throw Error(ErrorKind::Invalid, sentence);
}

std::string suggestion(const std::string& word, const Names& known) {
  const std::optional<std::string> nearest = nearest_word(word, known);
  return nearest ? " (did you mean " + *nearest + "?)" : "";
}

std::vector<CsvField> pairs_of(std::string_view flag, std::string_view text) {
  std::vector<CsvField> fields =
      in_context("invalid " + std::string(flag) + " \"" + std::string(text.substr(0, 200)) + "\"",
                 [&] { return parse_csv_fields(text); });
  for (CsvField& field : fields) {
    if (!field.value) fail("invalid field '" + field.text + "' of " + std::string(flag) + " must be a key=value pair");
    field.key = trim(field.key);
  }
  return fields;
}

bool boolean_of(const std::string& key, const std::string& value) {
  const std::optional<bool> parsed = parse_bool(value);
  if (!parsed) fail("invalid value for " + key + ": " + value + " (expected true or false)");
  return *parsed;
}

std::string type_of(std::string_view flag, const std::vector<CsvField>& fields) {
  for (const CsvField& field : fields) {
    if (field.key == "type") return lower(*field.value);
  }
  fail(std::string(flag) + " needs a type: type=…");
}

// annotation, annotation[linux/amd64], annotation-index.org.example.key and so on.
bool is_annotation_key(const std::string& key) {
  return key.starts_with("annotation");
}

void check_key(std::string_view flag, const std::string& type, const std::string& key, const Names& known) {
  if (std::find(known.begin(), known.end(), key) != known.end()) return;
  fail("unknown key '" + key + "' of " + std::string(flag) + " type=" + type + suggestion(key, known));
}

void check_compression(const std::string& value) {
  const Names known = {"uncompressed", "gzip", "estargz", "zstd"};
  if (std::find(known.begin(), known.end(), value) == known.end()) {
    fail("unsupported compression " + value + suggestion(value, known));
  }
}

struct OutputType {
  const char* name;
  OutputSpec::Type type;
};
constexpr OutputType kOutputTypes[] = {
    {"local", OutputSpec::Type::Local},
    {"tar", OutputSpec::Type::Tar},
    {"oci", OutputSpec::Type::Oci},
    {"docker", OutputSpec::Type::Docker},
    {"image", OutputSpec::Type::Image},
    {"registry", OutputSpec::Type::Registry},
    {"cacheonly", OutputSpec::Type::CacheOnly},
};

OutputSpec::Type output_type(const std::string& name) {
  Names known;
  for (const OutputType& candidate : kOutputTypes) {
    if (name == candidate.name) return candidate.type;
    known.emplace_back(candidate.name);
  }
  fail("unknown output type " + name + suggestion(name, known));
}

Names output_keys(OutputSpec::Type type) {
  Names keys = {"type"};
  const auto add = [&](std::initializer_list<const char*> more) { keys.insert(keys.end(), more.begin(), more.end()); };
  switch (type) {
    case OutputSpec::Type::CacheOnly:
      return keys;
    case OutputSpec::Type::Local:
      add({"dest", "platform-split", "mode", "attestation-prefix", "rewrite-timestamp"});
      return keys;
    case OutputSpec::Type::Tar:
      add({"dest", "platform-split", "attestation-prefix", "rewrite-timestamp"});
      return keys;
    case OutputSpec::Type::Oci:
    case OutputSpec::Type::Docker:
      add({"dest", "tar", "context"});
      break;
    case OutputSpec::Type::Image:
    case OutputSpec::Type::Registry:
      add({"push", "push-by-digest", "registry.insecure", "unpack", "store", "dangling-name-prefix", "name-canonical"});
      break;
  }
  add({"name", "oci-mediatypes", "oci-artifact", "compression", "compression-level", "force-compression",
       "rewrite-timestamp", "compatibility-version", "prefer-nondist-layers"});
  return keys;
}

void apply_output_field(OutputSpec& output, const std::string& key, const std::string& value) {
  if (key == "dest") {
    output.destination = value;
  } else if (key == "name") {
    for (const std::string& name : split(value, ',')) {
      if (!trim(name).empty()) output.names.emplace_back(trim(name));
    }
  } else if (key == "push") {
    output.push = boolean_of(key, value);
  } else if (key != "type") {
    if (key == "compression") check_compression(value);
    output.attributes[key] = value;
  }
}

CacheSpec::Type cache_type(const std::string& name) {
  if (name == "inline") return CacheSpec::Type::Inline;
  if (name == "registry") return CacheSpec::Type::Registry;
  if (name == "local") return CacheSpec::Type::Local;
  if (name == "gha" || name == "s3" || name == "azblob") {
    fail("cache type " + name + " is not supported: use type=registry or type=local");
  }
  fail("unknown cache type " + name + suggestion(name, {"inline", "registry", "local"}));
}

// Which keys a cache flag takes. `ends` are those that only this direction has.
Names cache_keys(CacheSpec::Type type, const Names& ends) {
  Names keys = {"type", "mode", "ignore-error"};
  if (type == CacheSpec::Type::Inline) return keys;
  for (const char* key : {"ref", "tag", "digest", "image-manifest", "oci-mediatypes", "compression",
                          "compression-level", "force-compression", "registry.insecure", "mounts"}) {
    keys.emplace_back(key);
  }
  keys.insert(keys.end(), ends.begin(), ends.end());
  return keys;
}

void apply_cache_field(CacheSpec& cache, const std::string& key, const std::string& value) {
  if (key == "mode") {
    if (value != "min" && value != "max") fail("invalid cache mode " + value + ": expected min or max");
    cache.mode = value == "max" ? CacheSpec::Mode::Max : CacheSpec::Mode::Min;
  } else if (key == "ignore-error") {
    cache.ignore_error = boolean_of(key, value);
  } else if (key == "mounts") {
    cache.mounts = boolean_of(key, value);
  } else if (key != "type") {
    if (key == "compression") check_compression(value);
    cache.attributes[key] = value;
  }
}

CacheSpec parse_cache(std::string_view flag, std::string_view text, const Names& ends) {
  CacheSpec cache;
  if (text.find('=') == std::string_view::npos) {
    if (trim(text).empty()) fail(std::string(flag) + " is empty: expected type=… or a reference");
    if (text.find(',') != std::string_view::npos)
      fail(std::string(flag) + " takes one reference: give the flag again for another");
    cache.attributes["ref"] = text;
    return cache;
  }
  const std::vector<CsvField> fields = pairs_of(flag, text);
  const std::string type = type_of(flag, fields);
  cache.type = cache_type(type);
  for (const CsvField& field : fields) {
    check_key(flag, type, field.key, cache_keys(cache.type, ends));
    apply_cache_field(cache, field.key, *field.value);
  }
  if (cache.type == CacheSpec::Type::Registry && cache.attributes["ref"].empty()) {
    fail(std::string(flag) + " type=registry needs ref=…");
  }
  return cache;
}

}  // namespace

SecretSpec parse_secret_spec(std::string_view text) {
  SecretSpec secret;
  std::optional<std::string> type, file, variable;
  for (const CsvField& field : pairs_of("--secret", text)) {
    if (field.key == "type") {
      if (*field.value != "file" && *field.value != "env") fail("unsupported secret type \"" + *field.value + "\"");
      type = *field.value;
    } else if (field.key == "id") {
      secret.id = *field.value;
    } else if (field.key == "source" || field.key == "src") {
      file = *field.value;
    } else if (field.key == "env") {
      variable = *field.value;
    } else {
      fail("unexpected key '" + field.key + "' in '" + field.text + "'" +
           suggestion(field.key, {"type", "id", "source", "src", "env"}));
    }
  }
  if (secret.id.empty()) fail("secret missing ID");
  if (type == "env" && !variable) variable = std::exchange(file, std::nullopt);
  const bool is_set = std::getenv(secret.id.c_str()) != nullptr;
  if (variable || type == "env" || (!type && !file && is_set)) {
    secret.type = SecretSpec::Type::Environment;
    secret.source = variable.value_or(secret.id);
  } else {
    secret.source = file.value_or(secret.id);
  }
  return secret;
}

SshSpec parse_ssh_spec(std::string_view text) {
  SshSpec ssh;
  const std::size_t equals = text.find('=');
  ssh.id = text.substr(0, equals);
  if (ssh.id.empty()) fail("--ssh needs an id: default, or id=socket or key");
  if (equals == std::string_view::npos) return ssh;
  for (std::string& path : split(text.substr(equals + 1), ',')) {
    if (path.empty()) fail("--ssh \"" + std::string(text) + "\" holds an empty path");
    ssh.paths.push_back(std::move(path));
  }
  return ssh;
}

OutputSpec parse_output_spec(std::string_view text) {
  OutputSpec output;
  if (text.empty()) fail("--output is empty: expected type=… or a directory");
  const bool is_path = text.find_first_of(",\"") == std::string_view::npos && !text.starts_with("type=");
  if (is_path) {
    output.type = text == "-" ? OutputSpec::Type::Tar : OutputSpec::Type::Local;
    output.destination = text;
    return output;
  }
  const std::vector<CsvField> fields = pairs_of("--output", text);
  const std::string type = type_of("--output", fields);
  output.type = output_type(type);
  output.push = output.type == OutputSpec::Type::Registry;
  const Names known = output_keys(output.type);
  for (const CsvField& field : fields) {
    if (!is_annotation_key(field.key)) check_key("--output", type, field.key, known);
    apply_output_field(output, field.key, *field.value);
  }
  const bool needs_destination = output.type == OutputSpec::Type::Local;
  if (needs_destination && output.destination.empty()) fail("--output type=local needs dest=…");
  if (needs_destination && output.destination == "-")
    fail("--output type=local can't go to standard output: use type=tar");
  return output;
}

CacheSpec parse_cache_to_spec(std::string_view text) {
  CacheSpec cache = parse_cache("--cache-to", text, {"dest", "reset"});
  if (cache.type == CacheSpec::Type::Local && cache.attributes["dest"].empty())
    fail("--cache-to type=local needs dest=…");
  if (cache.type == CacheSpec::Type::Inline && cache.mode == CacheSpec::Mode::Max) {
    fail("an inline cache has mode=min only: use type=registry for mode=max");
  }
  return cache;
}

CacheSpec parse_cache_from_spec(std::string_view text) {
  CacheSpec cache = parse_cache("--cache-from", text, {"src"});
  if (cache.type == CacheSpec::Type::Local && cache.attributes["src"].empty())
    fail("--cache-from type=local needs src=…");
  if (cache.type == CacheSpec::Type::Inline) fail("an inline cache is read with type=registry,ref=…");
  return cache;
}

std::optional<SourceDateEpoch> parse_source_date_epoch(std::string_view text) {
  text = trim(text);
  if (text.empty()) return std::nullopt;
  SourceDateEpoch epoch;
  if (text == "context" || text == "git") {
    epoch.from_context = true;
    return epoch;
  }
  constexpr std::int64_t kYear10000 = 253402300800;  // RFC 3339, which images use, ends there
  const std::optional<std::int64_t> seconds = parse_int(text);
  if (!seconds || *seconds < 0 || *seconds >= kYear10000) {
    fail("invalid SOURCE_DATE_EPOCH: " + std::string(text) + " (expected seconds since 1970, or git)");
  }
  epoch.time = std::chrono::seconds(*seconds);
  return epoch;
}

}  // namespace ctr
