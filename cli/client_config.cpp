#include "cli/client_config.h"

#include <cstdlib>

#include "base/file.h"
#include "base/json.h"

namespace ctr {

std::optional<std::string> client_config_text(std::string_view key) {
  const char* configured = std::getenv("DOCKER_CONFIG");
  const char* home = std::getenv("HOME");
  fs::path directory = configured != nullptr && *configured != '\0' ? fs::path(configured)
                                                                     : fs::path(home != nullptr ? home : "/") / ".docker";
  const fs::path file = directory / "config.json";
  const std::optional<std::string> text = find_file(file, kMiB);
  if (!text) return std::nullopt;
  return Json::parse(*text, file.native()).find_string(key);
}

}  // namespace ctr
