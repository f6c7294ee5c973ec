// containerd's hosts.toml, the part of TOML that it uses: tables with quoted names, strings, booleans, arrays. Anything
// else is refused with its line, never guessed.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/file.h"

namespace ctr {

struct TomlHost {
  std::string url = {};
  bool can_pull = true;
  bool can_push = true;
  bool skip_verify = false;
  bool override_path = false;
  std::vector<std::string> authorities = {};
  std::string client_certificate = {};
  std::string client_key = {};
  std::chrono::milliseconds dial_timeout{0};
  std::vector<std::pair<std::string, std::string>> headers = {};
};

struct HostsToml {
  std::optional<TomlHost> server = {};
  std::vector<TomlHost> hosts = {};
};

/// Relative paths are taken from the file's directory. Throws Invalid: "<file>:<line>: ...".
HostsToml parse_hosts_toml(std::string_view text, const fs::path& file);

}  // namespace ctr
