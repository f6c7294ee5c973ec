#include "image/config.h"

#include <algorithm>
#include <array>

#include "base/error.h"

namespace ctr {

namespace {

// Go writes the keys of these documents as given; old Docker versions wrote "Env": null and such, which counts as
// absent.
std::set<std::string> key_set(const Json& json, std::string_view key) {
  std::set<std::string> result;
  const Json* member = json.find(key);
  if (!member || member->is_null()) return result;
  for (const auto& [name, unused] : member->as_object()) result.insert(name);
  return result;
}

Json to_json(const std::set<std::string>& keys) {
  Json json = Json::object();
  for (const std::string& key : keys) json[key] = Json::object();
  return json;
}

std::optional<std::vector<std::string>> find_strings(const Json& json, std::string_view key) {
  const Json* member = json.find(key);
  if (!member || member->is_null()) return std::nullopt;
  return json.strings(key);
}

std::vector<History> history_from_json(const Json& json) {
  std::vector<History> result;
  for (const Json& element : json.elements("history"))
    result.push_back({element.string_or("created"), element.string_or("created_by"), element.string_or("author"),
                      element.string_or("comment"), element.bool_or("empty_layer")});
  return result;
}

Json to_json(const History& history) {
  Json json = Json::object();
  if (!history.created.empty()) json["created"] = history.created;
  if (!history.created_by.empty()) json["created_by"] = history.created_by;
  if (!history.author.empty()) json["author"] = history.author;
  if (!history.comment.empty()) json["comment"] = history.comment;
  if (history.empty_layer) json["empty_layer"] = true;
  return json;
}

template <typename Names>
Json members_except(const Json& json, const Names& known) {
  Json rest;
  for (const auto& [key, value] : json.as_object()) {
    if (std::ranges::find(known, key) == known.end()) rest[key] = value;
  }
  return rest;
}

void append_members(Json& json, const Json& members) {
  for (const auto& [key, value] : members.as_object()) json[key] = value;
}

constexpr std::array<std::string_view, 13> kDefaultsMembers{
    "User",   "ExposedPorts", "Env",         "Entrypoint", "Cmd",     "Volumes",    "WorkingDir",
    "Labels", "StopSignal",   "Healthcheck", "Shell",      "OnBuild", "ArgsEscaped"};
constexpr std::array<std::string_view, 10> kConfigMembers{"created", "author",     "architecture", "os",     "variant",
                                                          "config",  "os.version", "os.features",  "rootfs", "history"};

void read_rootfs(const Json& json, ImageConfig& config) {
  const Json* rootfs = json.find("rootfs");
  if (!rootfs || rootfs->is_null()) return;
  const std::string type = rootfs->string_or("type", "layers");
  if (type != "layers") throw Error(ErrorKind::Invalid, "rootfs.type is \"" + type + "\", not \"layers\"");
  for (const std::string& diff_id : rootfs->strings("diff_ids")) config.diff_ids.push_back(Digest::parse(diff_id));
}

}  // namespace

Json to_json(const Healthcheck& healthcheck) {
  Json json = Json::object();
  if (!healthcheck.test.empty()) json["Test"] = healthcheck.test;
  const auto add = [&](std::string_view key, std::chrono::nanoseconds value) {
    if (value.count() != 0) json[key] = static_cast<long>(value.count());
  };
  add("Interval", healthcheck.interval);
  add("Timeout", healthcheck.timeout);
  add("StartPeriod", healthcheck.start_period);
  add("StartInterval", healthcheck.start_interval);
  if (healthcheck.retries != 0) json["Retries"] = healthcheck.retries;
  return json;
}

Healthcheck healthcheck_from_json(const Json& json) {
  const auto duration = [&](std::string_view key) { return std::chrono::nanoseconds(json.int_or(key)); };
  const std::int64_t retries = std::clamp<std::int64_t>(json.int_or("Retries"), 0, 1'000'000);
  return {json.strings("Test"),    duration("Interval"),      duration("Timeout"),
          duration("StartPeriod"), duration("StartInterval"), static_cast<int>(retries)};
}

Json to_json(const ContainerDefaults& defaults) {
  Json json = Json::object();
  if (!defaults.user.empty()) json["User"] = defaults.user;
  if (!defaults.exposed_ports.empty()) json["ExposedPorts"] = to_json(defaults.exposed_ports);
  if (!defaults.env.empty()) json["Env"] = defaults.env;
  if (defaults.entrypoint) json["Entrypoint"] = *defaults.entrypoint;
  if (defaults.cmd) json["Cmd"] = *defaults.cmd;
  if (defaults.healthcheck) json["Healthcheck"] = to_json(*defaults.healthcheck);
  if (defaults.args_escaped) json["ArgsEscaped"] = true;
  if (!defaults.volumes.empty()) json["Volumes"] = to_json(defaults.volumes);
  if (!defaults.working_dir.empty()) json["WorkingDir"] = defaults.working_dir;
  if (!defaults.on_build.empty()) json["OnBuild"] = defaults.on_build;
  if (!defaults.labels.empty()) json["Labels"] = defaults.labels;
  if (!defaults.stop_signal.empty()) json["StopSignal"] = defaults.stop_signal;
  if (defaults.shell) json["Shell"] = *defaults.shell;
  append_members(json, defaults.unknown);
  return json;
}

ContainerDefaults container_defaults_from_json(const Json& json) {
  ContainerDefaults result;
  result.user = json.string_or("User");
  result.exposed_ports = key_set(json, "ExposedPorts");
  result.env = json.strings("Env");
  result.entrypoint = find_strings(json, "Entrypoint");
  result.cmd = find_strings(json, "Cmd");
  result.volumes = key_set(json, "Volumes");
  result.working_dir = json.string_or("WorkingDir");
  result.labels = json.string_map("Labels");
  result.stop_signal = json.string_or("StopSignal");
  if (const Json* healthcheck = json.find("Healthcheck"); healthcheck && !healthcheck->is_null())
    result.healthcheck = healthcheck_from_json(*healthcheck);
  result.shell = find_strings(json, "Shell");
  result.on_build = json.strings("OnBuild");
  result.args_escaped = json.bool_or("ArgsEscaped");
  result.unknown = members_except(json, kDefaultsMembers);
  return result;
}

ImageConfig parse_image_config(std::string_view text) {
  if (text.size() > kConfigLimit) throw Error(ErrorKind::Invalid, "image config: larger than the limit");
  const Json json = Json::parse(text, "image config");
  return in_context("image config", [&] {
    if (!json.is_object()) throw Error(ErrorKind::Invalid, "not a JSON object");
    ImageConfig result;
    result.created = json.string_or("created");
    result.author = json.string_or("author");
    result.platform = platform_from_json(json);
    if (const Json* defaults = json.find("config"); defaults && !defaults->is_null())
      result.defaults = container_defaults_from_json(*defaults);
    read_rootfs(json, result);
    result.history = history_from_json(json);
    result.unknown = members_except(json, kConfigMembers);
    return result;
  });
}

std::string serialise_image_config(const ImageConfig& config) {
  Json json = Json::object();
  if (!config.created.empty()) json["created"] = config.created;
  if (!config.author.empty()) json["author"] = config.author;
  append_members(json, to_json(config.platform));
  json["config"] = to_json(config.defaults);
  Json diff_ids = Json::array();
  for (const Digest& diff_id : config.diff_ids) diff_ids.push_back(diff_id.str());
  json["rootfs"] = Json::object({{"type", "layers"}, {"diff_ids", std::move(diff_ids)}});
  Json history = Json::array();
  for (const History& element : config.history) history.push_back(to_json(element));
  if (!config.history.empty()) json["history"] = std::move(history);
  append_members(json, config.unknown);
  return json.dump();
}

Digest chain_id(const Digest& parent_chain, const Digest& diff_id) {
  return Digest::of(parent_chain.str() + " " + diff_id.str());
}

std::vector<Digest> chain_ids(const std::vector<Digest>& diff_ids) {
  std::vector<Digest> result;
  result.reserve(diff_ids.size());
  for (const Digest& diff_id : diff_ids) result.push_back(result.empty() ? diff_id : chain_id(result.back(), diff_id));
  return result;
}

}  // namespace ctr
