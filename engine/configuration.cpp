#include "engine/configuration.h"

#include <cstdlib>
#include <functional>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "engine/build_cache_limits.h"
#include "image/layer_store.h"
#include "runtime/address_pool.h"

namespace ctr {
namespace {

constexpr std::uint64_t kConfigurationLimit = kMiB;

using Setter = std::function<void(Configuration&, const Json&)>;

std::string as_flag(const Json& value) { return value.as_bool() ? "true" : ""; }

std::string layer_format(const Json& value) {
  parse_layer_format(value.as_string());
  return value.as_string();
}

std::string cgroup_parent(const Json& value) {
  const std::string& text = value.as_string();
  if (text.size() > 1 && text.front() == '/' && text.find("..") == std::string::npos) return text;
  throw Error(ErrorKind::Invalid, "\"" + text + "\" is not an absolute path below the cgroup root");
}

/// {"nofile": {"Name": "nofile", "Hard": 1024, "Soft": 512}} as in daemon.json, or {"nofile": "512:1024"}.
std::map<std::string, std::string> ulimits(const Json& value) {
  std::map<std::string, std::string> limits;
  for (const Json::Member& member : value.as_object()) {
    if (member.second.is_string()) {
      limits[member.first] = member.second.as_string();
    } else {
      limits[member.first] =
          std::to_string(member.second.require_int("Soft")) + ":" + std::to_string(member.second.require_int("Hard"));
    }
  }
  return limits;
}

/// [{"base": "10.10.0.0/16", "size": 24}] as in daemon.json, or ["10.10.0.0/16:24"].
std::vector<std::string> address_pools(const Json& value) {
  std::vector<std::string> pools;
  for (const Json& pool : value.as_array()) {
    std::string text = pool.is_string() ? pool.as_string()
                                        : pool.require_string("base") + ":" + std::to_string(pool.require_int("size"));
    (void)AddressPool::parse(text);
    pools.push_back(std::move(text));
  }
  return pools;
}

const std::map<std::string, Setter>& setters() {
  static const std::map<std::string, Setter> table = {
      {"log-driver", [](Configuration& c, const Json& v) { c.log_driver = v.as_string(); }},
      {"log-opts", [](Configuration& c, const Json& v) { c.log_options = v.as_string_map(); }},
      {"publish-address", [](Configuration& c, const Json& v) { c.publish_address = IpAddress::parse(v.as_string()).str(); }},
      {"layer-format", [](Configuration& c, const Json& v) { c.layer_format = layer_format(v); }},
      {"default-platform", [](Configuration& c, const Json& v) { c.default_platform = v.as_string(); }},
      {"registry-mirrors", [](Configuration& c, const Json& v) { c.registry_mirrors = v.as_strings(); }},
      {"insecure-registries", [](Configuration& c, const Json& v) { c.insecure_registries = v.as_strings(); }},
      {"cgroup-parent", [](Configuration& c, const Json& v) { c.cgroup_parent = cgroup_parent(v); }},
      {"default-ulimits", [](Configuration& c, const Json& v) { c.default_ulimits = ulimits(v); }},
      {"dns", [](Configuration& c, const Json& v) { c.dns = v.as_strings(); }},
      {"dns-search", [](Configuration& c, const Json& v) { c.dns_search = v.as_strings(); }},
      {"dns-opts", [](Configuration& c, const Json& v) { c.dns_options = v.as_strings(); }},
      {"default-address-pools", [](Configuration& c, const Json& v) { c.address_pools = address_pools(v); }},
      // Kept by nobody: builds read it where they need it.
      {"builder", [](Configuration&, const Json& v) { parse_build_cache_limits(v); }},
      {"init", [](Configuration& c, const Json& v) { c.default_init = as_flag(v); }},
      {"register-emulators", [](Configuration& c, const Json& v) { c.registers_emulators = v.as_bool(); }},
      {"stop-timeout",
       [](Configuration& c, const Json& v) {
         if (v.as_int() < -1 || v.as_int() > 1'000'000) throw Error(ErrorKind::Invalid, "is out of range");
         c.stop_timeout_seconds = static_cast<int>(v.as_int());
       }},
  };
  return table;
}

[[noreturn]] void refuse_key(const std::string& name, const std::string& key) {
  std::vector<std::string> known;
  for (const auto& [candidate, setter] : setters()) known.push_back(candidate);
  std::string sentence = name + ": \"" + key + "\" is not a configuration key";
  if (const auto nearest = nearest_word(key, known)) sentence += "; did you mean \"" + *nearest + "\"?";
  throw Error(ErrorKind::Invalid, sentence);
}

fs::path user_configuration() {
  const char* config_home = std::getenv("XDG_CONFIG_HOME");
  if (config_home != nullptr && *config_home == '/') return fs::path(config_home) / "ctr" / "config.json";
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home != '/') return {};
  return fs::path(home) / ".config" / "ctr" / "config.json";
}

}  // namespace

void apply_configuration(Configuration& configuration, const std::string& text, const std::string& name) {
  const Json document = Json::parse(text, name);
  if (!document.is_object()) throw Error(ErrorKind::Invalid, name + ": the configuration must be a JSON object");
  for (const Json::Member& member : document.as_object()) {
    const auto setter = setters().find(member.first);
    if (setter == setters().end()) refuse_key(name, member.first);
    in_context(name + ": \"" + member.first + "\"", [&] { setter->second(configuration, member.second); });
  }
}

Configuration read_configuration() {
  Configuration configuration;
  for (const fs::path& file : {fs::path("/etc/ctr/config.json"), user_configuration()}) {
    if (file.empty()) continue;
    const std::optional<std::string> text = find_file(file, kConfigurationLimit);
    if (!text) continue;
    apply_configuration(configuration, *text, file.native());
    configuration.files.push_back(file);
  }
  return configuration;
}

}  // namespace ctr
