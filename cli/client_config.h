// Docker's config.json as far as it steers the client: detachKeys, psFormat, imagesFormat, proxies.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ctr {

/// A text member of $DOCKER_CONFIG/config.json or ~/.docker/config.json; nothing when file or member are missing.
std::optional<std::string> client_config_text(std::string_view key);

/// The variables that `proxies` gives to containers and builds: HTTP_PROXY and http_proxy, and so on.
std::vector<std::pair<std::string, std::string>> client_config_proxies();

}  // namespace ctr
