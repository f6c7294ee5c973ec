#include "builder/bake_compose.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "builder/bake_entry.h"
#include "builder/compose_variables.h"
#include "builder/hcl.h"
#include "builder/instruction_flags.h"
#include "builder/yaml.h"

namespace ctr {

namespace {

[[noreturn]] void fail(const std::string& sentence) {
  throw Error(ErrorKind::Invalid, sentence);
}

// Services and secrets, nothing else, and of a service only what a build depends on.
Json relevant_part(const Json& document, const std::string& file) {
  if (!document.is_object() || !document.find("services") || !document.at("services").is_object()) {
    fail(file + ": empty compose file: expected services");
  }
  Json part = Json::object({{"services", Json::object()}});
  for (const auto& [name, service] : document.at("services").as_object()) {
    Json kept = Json::object();
    if (service.contains("extends")) fail(file + ": service " + name + ": extends is not supported by bake");
    for (const char* key : {"image", "build", "environment"}) {
      if (const Json* value = service.find(key)) kept[key] = *value;
    }
    // `build: DIR` is short for a context; as a mapping it can be merged.
    if (Json* build = kept.find("build"); build != nullptr && build->is_string()) {
      *build = Json::object({{"context", *build}});
    }
    part["services"][name] = std::move(kept);
  }
  if (const Json* secrets = document.find("secrets")) part["secrets"] = *secrets;
  return part;
}

// A later file over an earlier one: mappings member by member, everything else as a whole.
void merge(Json& base, const Json& over) {
  if (!base.is_object() || !over.is_object()) {
    base = over;
    return;
  }
  for (const auto& [key, member] : over.as_object()) {
    if (Json* known = base.find(key)) {
      merge(*known, member);
    } else {
      base[key] = member;
    }
  }
}

// `KEY: value`, or a list of KEY=value. What has no value is looked up, or left out.
Json pairs_of(const Json& value, const char* separators, const ComposeLookup& lookup, const std::string& what) {
  Json pairs = Json::object();
  const auto put = [&](const std::string& key, const std::optional<std::string>& text) {
    const std::optional<std::string> found = text ? text : lookup ? lookup(key) : std::nullopt;
    if (found) pairs[key] = *found;
  };
  if (value.is_object()) {
    for (const auto& [key, member] : value.as_object()) {
      put(key, member.is_null() ? std::nullopt : std::optional(hcl_text(member, what + "." + key)));
    }
    return pairs;
  }
  if (!value.is_array()) fail(what + " must be a mapping or a list");
  for (const Json& element : value.as_array()) {
    const std::string text = hcl_text(element, what);
    const std::size_t separator = text.find_first_of(separators);
    put(text.substr(0, separator),
        separator == std::string::npos ? std::nullopt : std::optional(text.substr(separator + 1)));
  }
  return pairs;
}

// A list, or text with blanks between (x-bake allows both).
Json list_of(const Json& value) {
  if (!value.is_string()) return value;
  return Json(split_words(value.as_string()));
}

class ServiceReader {
 public:
  ServiceReader(const std::string& name, const Json& service, const Json& secrets, const ComposeLookup& lookup)
      : name_(name), service_(service), build_(service.at("build")), secrets_(secrets), lookup_(lookup) {}

  BakeTarget read();

 private:
  void copy(const char* from, const char* to);
  void read_pairs();
  void read_secrets();
  void read_ssh();
  void read_ulimits();
  void read_x_bake(BakeTarget& target) const;
  Json secret(const Json& given) const;

  const std::string& name_;
  const Json& service_;
  const Json& build_;
  const Json& secrets_;
  const ComposeLookup& lookup_;
  Json target_ = Json::object();
};

void ServiceReader::copy(const char* from, const char* to) {
  if (const Json* value = build_.find(from); value != nullptr && !value->is_null()) target_[to] = *value;
}

void ServiceReader::read_pairs() {
  if (const Json* args = build_.find("args")) {
    Json environment = Json::object();
    if (const Json* given = service_.find("environment"); given != nullptr && !given->is_null()) {
      environment = pairs_of(*given, "=", lookup_, "environment");
    }
    const ComposeLookup with_environment = [&](std::string_view name) -> std::optional<std::string> {
      if (const Json* value = environment.find(name)) return value->as_string();
      return lookup_(name);
    };
    target_["args"] = pairs_of(*args, "=", with_environment, "build.args");
  }
  if (const Json* labels = build_.find("labels")) target_["labels"] = pairs_of(*labels, "=", nullptr, "build.labels");
  if (const Json* hosts = build_.find("extra_hosts")) {
    target_["extra-hosts"] = pairs_of(*hosts, "=:", nullptr, "build.extra_hosts");
  }
  if (const Json* contexts = build_.find("additional_contexts")) {
    Json pairs = pairs_of(*contexts, "=", nullptr, "build.additional_contexts");
    Json named = Json::object();
    for (const auto& [key, value] : pairs.as_object()) {
      const std::string& text = value.as_string();
      const bool is_target = text.starts_with("service:") || text.starts_with("target:");
      named[key] = is_target ? "target:" + replace_all(text.substr(text.find(':') + 1), ".", "_") : text;
    }
    target_["contexts"] = std::move(named);
  }
}

// The name of a top-level secret, or a mapping with `source`.
Json ServiceReader::secret(const Json& given) const {
  const std::string id = given.is_object() ? given.require_string("source") : hcl_text(given, "a secret");
  Json entry = Json::object({{"id", id}});
  const Json* definition = secrets_.find(id);
  if (definition == nullptr || definition->is_null()) return entry;
  if (definition->bool_or("external")) fail("unsupported external secret " + id);
  if (const auto file = definition->find_string("file")) entry["src"] = *file;
  if (const auto variable = definition->find_string("environment")) entry["env"] = *variable;
  return entry;
}

void ServiceReader::read_secrets() {
  Json list = Json::array();
  for (const Json& given : build_.elements("secrets")) list.push_back(secret(given));
  if (!list.empty()) target_["secret"] = std::move(list);
}

void ServiceReader::read_ssh() {
  const Json* ssh = build_.find("ssh");
  if (ssh == nullptr || ssh->is_null()) return;
  if (!ssh->is_object()) {
    target_["ssh"] = list_of(*ssh);
    return;
  }
  Json list = Json::array();
  for (const auto& [id, path] : ssh->as_object()) {
    list.push_back(path.is_null() ? Json(id) : Json(id + "=" + hcl_text(path, "build.ssh")));
  }
  target_["ssh"] = std::move(list);
}

void ServiceReader::read_ulimits() {
  Json list = Json::array();
  for (const auto& [name, limit] : build_.members("ulimits")) {
    const std::string both =
        limit.is_object() ? std::to_string(limit.require_int("soft")) + ":" + std::to_string(limit.require_int("hard"))
                          : hcl_text(limit, "build.ulimits");
    list.push_back(Json(name + "=" + (limit.is_object() ? both : both + ":" + both)));
  }
  if (!list.empty()) target_["ulimits"] = std::move(list);
}

// Lists of x-bake come on top of those that the build has.
void ServiceReader::read_x_bake(BakeTarget& target) const {
  const Json* extension = build_.find("x-bake");
  if (extension == nullptr || extension->is_null()) return;
  static const std::vector<std::string> kLists = {"tags", "cache-from", "cache-to", "secret",
                                                  "ssh",  "platforms",  "output",   "no-cache-filter"};
  Json more = Json::object();
  for (const auto& [key, value] : extension->as_object()) {
    const bool is_list = std::find(kLists.begin(), kLists.end(), key) != kLists.end();
    if (!is_list && key != "pull" && key != "no-cache" && key != "contexts") {
      fail("unsupported key \"" + key + "\" of x-bake" + did_you_mean(key, kLists));
    }
    more[key] = is_list ? list_of(value) : value;
  }
  BakeTarget extra = bake_target_from_json(target.name, more);
  const auto prepend = [](auto& list, const auto& before) {
    if (list && before) list->insert(list->begin(), before->begin(), before->end());
  };
  prepend(extra.tags, target.tags);
  prepend(extra.platforms, target.platforms);
  prepend(extra.cache_to, target.cache_to);
  prepend(extra.output, target.output);
  target.merge(extra);
}

BakeTarget ServiceReader::read() {
  for (const auto& [from, to] : {std::pair{"context", "context"},
                                 {"dockerfile", "dockerfile"},
                                 {"dockerfile_inline", "dockerfile-inline"},
                                 {"target", "target"},
                                 {"network", "network"},
                                 {"platforms", "platforms"},
                                 {"cache_from", "cache-from"},
                                 {"cache_to", "cache-to"},
                                 {"shm_size", "shm-size"},
                                 {"no_cache", "no-cache"},
                                 {"pull", "pull"},
                                 {"entitlements", "entitlements"},
                                 {"tags", "tags"}}) {
    copy(from, to);
  }
  read_pairs();
  read_secrets();
  read_ssh();
  read_ulimits();
  const std::string name = replace_all(name_, ".", "_");
  if (!is_bake_name(name)) fail("invalid service name \"" + name_ + "\"");
  BakeTarget target = bake_target_from_json(name, target_);
  read_x_bake(target);
  const std::optional<std::string> image = service_.find_string("image");
  if (image && (!target.tags || target.tags->empty())) target.tags = std::vector<std::string>{*image};
  target.normalise();
  return target;
}

}  // namespace

bool looks_like_compose(const std::string& text) {
  try {
    return parse_yaml(text, "").contains("services");
  } catch (const Error&) {
    return false;  // another language: whoever reads that one says what is wrong
  }
}

std::vector<BakeTarget> compose_bake_targets(const std::vector<BakeFile>& files, const BakeOptions& options) {
  const ComposeLookup lookup = [&](std::string_view name) -> std::optional<std::string> {
    const auto given = options.variables.find(std::string(name));
    if (given != options.variables.end()) return given->second;
    const auto value = options.environment ? options.environment(name) : std::nullopt;
    return value || !options.dot_env ? value : options.dot_env(name);
  };
  Json project = Json::object();
  for (const BakeFile& file : files) {
    const Json part = relevant_part(parse_yaml(file.text, file.name), file.name);
    merge(project, in_context(file.name, [&] { return expand_compose_value(part, lookup); }));
  }
  const Json* known_secrets = project.find("secrets");
  const Json secrets = known_secrets == nullptr ? Json::object() : *known_secrets;
  std::vector<BakeTarget> targets;
  for (const auto& [name, service] : project.members("services")) {
    const Json* build = service.find("build");
    if (build == nullptr || build->is_null()) continue;
    const std::string& service_name = name;
    const Json& content = service;
    in_context("service " + name,
               [&] { targets.push_back(ServiceReader(service_name, content, secrets, lookup).read()); });
  }
  return targets;
}

}  // namespace ctr
