#include "builder/bake_target.h"

#include <algorithm>
#include <functional>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "builder/bake_entry.h"
#include "builder/build.h"
#include "builder/hcl.h"
#include "builder/instruction_flags.h"

namespace ctr {

namespace {

using Strings = std::vector<std::string>;
using StringMap = std::map<std::string, std::string>;

[[noreturn]] void fail(const std::string& sentence) {
  throw Error(ErrorKind::Invalid, sentence);
}

Strings strings_of(const Json& value, std::string_view what) {
  if (!value.is_array()) fail("must be a list of strings");
  Strings strings;
  for (const Json& element : value.as_array()) {
    if (!element.is_null()) strings.push_back(hcl_text(element, what));
  }
  return strings;
}

StringMap map_of(const Json& value, std::string_view what) {
  if (!value.is_object()) fail("must be a map of strings");
  StringMap map;
  for (const auto& [key, member] : value.as_object()) {
    if (!member.is_null()) map[key] = hcl_text(member, std::string(what) + "." + key);
  }
  return map;
}

bool bool_of(const Json& value, std::string_view what) {
  const std::optional<bool> parsed =
      value.is_bool() ? std::optional(value.as_bool()) : parse_bool(hcl_text(value, what));
  if (!parsed) fail("must be true or false");
  return *parsed;
}

std::vector<BakeEntry> entries_of(BakeEntryKind kind, const Json& value) {
  if (!value.is_array()) fail("must be a list");
  std::vector<BakeEntry> all;
  for (const Json& element : value.as_array()) {
    for (BakeEntry& entry : bake_entries(kind, element)) all.push_back(std::move(entry));
  }
  return all;
}

// A key of a target and how its value is taken; one row a key.
struct Key {
  const char* name;
  std::function<void(BakeTarget&, const Json&)> take;
};

template <typename Member>
Key text_key(const char* name, Member member) {
  return {name, [=](BakeTarget& target, const Json& value) { target.*member = hcl_text(value, name); }};
}
template <typename Member>
Key list_key(const char* name, Member member) {
  return {name, [=](BakeTarget& target, const Json& value) { target.*member = strings_of(value, name); }};
}
template <typename Member>
Key map_key(const char* name, Member member) {
  return {name, [=](BakeTarget& target, const Json& value) { target.*member = map_of(value, name); }};
}
template <typename Member>
Key bool_key(const char* name, Member member) {
  return {name, [=](BakeTarget& target, const Json& value) { target.*member = bool_of(value, name); }};
}
template <typename Member>
Key entries_key(const char* name, Member member, BakeEntryKind kind) {
  return {name, [=](BakeTarget& target, const Json& value) { target.*member = entries_of(kind, value); }};
}
Key refused_key(const char* name, const char* why) {
  return {name, [=](BakeTarget&, const Json&) { fail(why); }};
}

const std::vector<Key>& keys() {
  static const std::vector<Key> all = {
      text_key("description", &BakeTarget::description),
      list_key("inherits", &BakeTarget::inherits),
      list_key("annotations", &BakeTarget::annotations),
      entries_key("attest", &BakeTarget::attest, BakeEntryKind::Attest),
      text_key("context", &BakeTarget::context),
      map_key("contexts", &BakeTarget::contexts),
      text_key("dockerfile", &BakeTarget::dockerfile),
      text_key("dockerfile-inline", &BakeTarget::dockerfile_inline),
      map_key("args", &BakeTarget::args),
      map_key("labels", &BakeTarget::labels),
      list_key("tags", &BakeTarget::tags),
      entries_key("cache-from", &BakeTarget::cache_from, BakeEntryKind::Cache),
      entries_key("cache-to", &BakeTarget::cache_to, BakeEntryKind::Cache),
      text_key("target", &BakeTarget::target),
      entries_key("secret", &BakeTarget::secret, BakeEntryKind::Secret),
      entries_key("ssh", &BakeTarget::ssh, BakeEntryKind::Ssh),
      list_key("platforms", &BakeTarget::platforms),
      entries_key("output", &BakeTarget::output, BakeEntryKind::Output),
      bool_key("pull", &BakeTarget::pull),
      bool_key("no-cache", &BakeTarget::no_cache),
      text_key("network", &BakeTarget::network),
      list_key("no-cache-filter", &BakeTarget::no_cache_filter),
      text_key("shm-size", &BakeTarget::shm_size),
      list_key("ulimits", &BakeTarget::ulimits),
      text_key("call", &BakeTarget::call),
      list_key("entitlements", &BakeTarget::entitlements),
      map_key("extra-hosts", &BakeTarget::extra_hosts),
      refused_key("matrix", "a matrix of targets is not supported yet"),
      refused_key("name", "name needs a matrix, which is not supported yet"),
      refused_key("policy", "policies are not supported"),
      refused_key("resources", "limits of a target are not supported: give --memory and --cpus to the build"),
  };
  return all;
}

template <typename Value>
void take_if(std::optional<Value>& mine, const std::optional<Value>& other) {
  if (other) mine = other;
}

void take_all(StringMap& mine, const StringMap& other) {
  for (const auto& [key, value] : other) mine[key] = value;
}

template <typename Value>
void append(std::vector<Value>& mine, const std::vector<Value>& other) {
  mine.insert(mine.end(), other.begin(), other.end());
}

template <typename Value>
void drop_repetitions(std::vector<Value>& values) {
  std::set<Value> seen;
  std::vector<Value> kept;
  for (Value& value : values) {
    if (!value.empty() && seen.insert(value).second) kept.push_back(std::move(value));
  }
  values = std::move(kept);
}

// buildx's own templates would expand these again if the output were read back.
std::string escaped(const std::string& text) {
  return replace_all(replace_all(text, "${", "$${"), "%{", "%%{");
}

StringMap escaped(const StringMap& map) {
  StringMap result;
  for (const auto& [key, value] : map) result[key] = escaped(value);
  return result;
}

void put(Json& json, const char* key, const std::optional<std::string>& value) {
  if (value) json[key] = *value;
}
void put(Json& json, const char* key, const Strings& values) {
  if (!values.empty()) json[key] = Json(values);
}
void put(Json& json, const char* key, const StringMap& values) {
  if (!values.empty()) json[key] = Json(values);
}
void put(Json& json, const char* key, BakeEntryKind kind, const std::vector<BakeEntry>& entries) {
  if (entries.empty()) return;
  Json list = Json::array();
  for (const BakeEntry& entry : entries) list.push_back(bake_entry_json(kind, entry));
  json[key] = std::move(list);
}

}  // namespace

bool is_bake_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

BakeTarget bake_target_from_json(const std::string& name, const Json& json) {
  BakeTarget target;
  target.name = name;
  for (const auto& [key, value] : json.as_object()) {
    const std::string& wanted = key;
    const auto known =
        std::find_if(keys().begin(), keys().end(), [&](const Key& candidate) { return candidate.name == wanted; });
    if (known == keys().end()) {
      Strings names;
      for (const Key& candidate : keys()) names.emplace_back(candidate.name);
      fail("target " + name + ": unsupported argument \"" + key + "\"" + did_you_mean(key, names));
    }
    const Json& given = value;
    if (given.is_null()) continue;
    in_context("target " + name + ": " + key, [&] { known->take(target, given); });
  }
  return target;
}

void BakeTarget::merge(const BakeTarget& other) {
  if (!other.description.empty()) description = other.description;
  append(inherits, other.inherits);
  take_if(context, other.context);
  take_if(dockerfile, other.dockerfile);
  take_if(dockerfile_inline, other.dockerfile_inline);
  take_if(target, other.target);
  take_if(network, other.network);
  take_if(call, other.call);
  take_if(shm_size, other.shm_size);
  take_if(no_cache, other.no_cache);
  take_if(pull, other.pull);
  take_all(args, other.args);
  take_all(labels, other.labels);
  take_all(contexts, other.contexts);
  take_all(extra_hosts, other.extra_hosts);
  take_if(tags, other.tags);
  take_if(platforms, other.platforms);
  take_if(cache_to, other.cache_to);
  take_if(output, other.output);
  append(annotations, other.annotations);
  append(no_cache_filter, other.no_cache_filter);
  append(ulimits, other.ulimits);
  append(entitlements, other.entitlements);
  append(cache_from, other.cache_from);
  append(secret, other.secret);
  append(ssh, other.ssh);
  append(attest, other.attest);
}

void BakeTarget::normalise() {
  if (tags) drop_repetitions(*tags);
  if (platforms) drop_repetitions(*platforms);
  if (cache_to) drop_repetitions(*cache_to);
  if (output) drop_repetitions(*output);
  if (network == "host") entitlements.emplace_back("network.host");
  for (Strings* list : {&annotations, &no_cache_filter, &ulimits, &entitlements}) drop_repetitions(*list);
  for (std::vector<BakeEntry>* list : {&cache_from, &secret, &ssh, &attest}) drop_repetitions(*list);
  std::erase_if(contexts, [](const auto& entry) { return entry.second.empty(); });
}

Json to_json(const BakeTarget& target) {
  Json json = Json::object();
  if (!target.description.empty()) json["description"] = target.description;
  Strings annotations;
  for (const std::string& annotation : target.annotations) annotations.push_back(escaped(annotation));
  put(json, "annotations", annotations);
  put(json, "attest", BakeEntryKind::Attest, target.attest);
  put(json, "context", target.context);
  put(json, "contexts", target.contexts);
  put(json, "dockerfile", target.dockerfile);
  if (target.dockerfile_inline) json["dockerfile-inline"] = escaped(*target.dockerfile_inline);
  put(json, "args", escaped(target.args));
  put(json, "labels", escaped(target.labels));
  put(json, "tags", target.tags.value_or(Strings{}));
  put(json, "cache-from", BakeEntryKind::Cache, target.cache_from);
  put(json, "cache-to", BakeEntryKind::Cache, target.cache_to.value_or(std::vector<BakeEntry>{}));
  put(json, "target", target.target);
  put(json, "secret", BakeEntryKind::Secret, target.secret);
  put(json, "ssh", BakeEntryKind::Ssh, target.ssh);
  put(json, "platforms", target.platforms.value_or(Strings{}));
  put(json, "output", BakeEntryKind::Output, target.output.value_or(std::vector<BakeEntry>{}));
  if (target.pull) json["pull"] = *target.pull;
  if (target.no_cache) json["no-cache"] = *target.no_cache;
  put(json, "network", target.network);
  put(json, "no-cache-filter", target.no_cache_filter);
  put(json, "shm-size", target.shm_size);
  put(json, "ulimits", target.ulimits);
  put(json, "call", target.call);
  put(json, "entitlements", target.entitlements);
  put(json, "extra-hosts", escaped(target.extra_hosts));
  return json;
}

BuildRequest bake_build_request(const BakeTarget& target) {
  BuildRequest request;
  const auto local = [](const std::string& path) { return std::string(without_prefix(path, "cwd://")); };
  request.context = local(target.context.value_or("."));
  if (request.context.empty()) request.context = ".";
  if (request.context == "-") fail("target " + target.name + ": context from stdin not allowed in bake");
  request.dockerfile = local(target.dockerfile.value_or(""));
  if (request.dockerfile == "-") fail("target " + target.name + ": dockerfile from stdin not allowed in bake");
  request.tags = target.tags.value_or(Strings{});
  request.target = target.target.value_or("");
  request.build_args = target.args;
  request.platforms = target.platforms.value_or(Strings{});
  request.labels = target.labels;
  request.annotations = target.annotations;
  for (const auto& [name, source] : target.contexts) {
    request.named_contexts.insert(parse_named_context(name + "=" + local(source)));
  }
  for (const BakeEntry& entry : target.secret)
    request.secrets.push_back(parse_secret_spec(bake_entry_text(BakeEntryKind::Secret, entry)));
  for (const BakeEntry& entry : target.ssh)
    request.ssh.push_back(parse_ssh_spec(bake_entry_text(BakeEntryKind::Ssh, entry)));
  for (const BakeEntry& entry : target.output.value_or(std::vector<BakeEntry>{})) {
    request.outputs.push_back(parse_output_spec(bake_entry_text(BakeEntryKind::Output, entry)));
  }
  for (const BakeEntry& entry : target.cache_from) {
    request.cache_from.push_back(parse_cache_from_spec(bake_entry_text(BakeEntryKind::Cache, entry)));
  }
  for (const BakeEntry& entry : target.cache_to.value_or(std::vector<BakeEntry>{})) {
    request.cache_to.push_back(parse_cache_to_spec(bake_entry_text(BakeEntryKind::Cache, entry)));
  }
  request.no_cache_stages = target.no_cache_filter;
  request.entitlements = target.entitlements;
  for (const auto& [host, address] : target.extra_hosts) request.add_hosts.push_back(host + ":" + address);
  request.ulimits = target.ulimits;
  request.network = target.network.value_or("default");
  if (target.shm_size) {
    const std::optional<std::int64_t> size = parse_size(*target.shm_size);
    if (!size) fail("target " + target.name + ": invalid shm-size " + *target.shm_size);
    request.shm_size_bytes = static_cast<std::uint64_t>(*size);
  }
  if (target.no_cache.value_or(false)) request.cache = CacheUse::Ignore;
  if (target.pull.value_or(false)) request.base_policy = BasePolicy::Pull;
  return request;
}

}  // namespace ctr
