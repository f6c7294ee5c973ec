#include "cli/client_config.h"

#include <cstdlib>

#include "base/file.h"
#include "base/json.h"
#include "base/text.h"

namespace ctr {

namespace {

std::optional<Json> read_client_config() {
  const char* configured = std::getenv("DOCKER_CONFIG");
  const char* home = std::getenv("HOME");
  fs::path directory = configured != nullptr && *configured != '\0' ? fs::path(configured)
                                                                     : fs::path(home != nullptr ? home : "/") / ".docker";
  const fs::path file = directory / "config.json";
  const std::optional<std::string> text = find_file(file, kMiB);
  if (!text) return std::nullopt;
  return Json::parse(*text, file.native());
}

}  // namespace

std::optional<std::string> client_config_text(std::string_view key) {
  const std::optional<Json> config = read_client_config();
  return config ? config->find_string(key) : std::nullopt;
}

std::vector<std::pair<std::string, std::string>> client_config_proxies() {
  // Docker looks for its daemon's address first: here that is the local one.
  constexpr const char* kHosts[] = {"unix:///var/run/docker.sock", "default"};
  constexpr std::pair<const char*, const char*> kNames[] = {{"httpProxy", "HTTP_PROXY"},
                                                            {"httpsProxy", "HTTPS_PROXY"},
                                                            {"ftpProxy", "FTP_PROXY"},
                                                            {"noProxy", "NO_PROXY"},
                                                            {"allProxy", "ALL_PROXY"}};
  std::vector<std::pair<std::string, std::string>> variables;
  const std::optional<Json> config = read_client_config();
  if (!config) return variables;
  for (const char* host : kHosts) {
    for (const auto& [name, proxies] : config->members("proxies")) {
      if (name != host) continue;
      for (const auto& [member, variable] : kNames) {
        const std::string value = proxies.string_or(member);
        if (value.empty()) continue;
        variables.emplace_back(variable, value);
        variables.emplace_back(lower(variable), value);
      }
      return variables;
    }
  }
  return variables;
}

}  // namespace ctr
