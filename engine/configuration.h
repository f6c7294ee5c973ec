// The configuration files: /etc/ctr/config.json, then $XDG_CONFIG_HOME/ctr/config.json over it, key by key. A key that
// is not known is refused by name, so that a typing error never passes for a setting. Flags of commands override both.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace ctr {

struct Configuration {
  std::string log_driver = "json-file";            // "log-driver"
  std::map<std::string, std::string> log_options;  // "log-opts"
  std::string publish_address;                     // "publish-address": where -p binds when it names no address
  std::string layer_format = "auto";               // "layer-format": auto, directory, erofs
  std::string default_platform;                    // "default-platform"
  std::vector<std::string> registry_mirrors;       // "registry-mirrors": of docker.io
  std::vector<std::string> insecure_registries;    // "insecure-registries"
  std::string cgroup_parent = "/ctr";              // "cgroup-parent"
  std::map<std::string, std::string> default_ulimits;  // "default-ulimits": name -> soft[:hard]
  std::vector<std::string> dns;                    // "dns"
  std::vector<std::string> dns_search;             // "dns-search"
  std::vector<std::string> dns_options;            // "dns-opts"
  std::vector<std::string> address_pools;          // "default-address-pools": base/prefix:size
  std::string default_init;                        // "init": "true" runs every container with --init
  int stop_timeout_seconds = 10;                   // "stop-timeout"
  bool registers_emulators = false;                // "register-emulators": in the host's binfmt_misc, before Linux 6.7
  std::vector<std::filesystem::path> files;        // the files that were read, in that order
};

/// Reads the files that exist. Throws Invalid naming file and key for a key or value that is not understood.
Configuration read_configuration();

/// Applies one file's text over `configuration`; `name` is used in errors.
void apply_configuration(Configuration& configuration, const std::string& text, const std::string& name);

}  // namespace ctr
