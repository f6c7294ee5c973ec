// Docker's config.json as far as it steers how the client looks: detachKeys, psFormat, imagesFormat.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace ctr {

/// A text member of $DOCKER_CONFIG/config.json or ~/.docker/config.json; nothing when file or member are missing.
std::optional<std::string> client_config_text(std::string_view key);

}  // namespace ctr
