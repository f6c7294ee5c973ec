// --mount, -v and --tmpfs as values.
#pragma once

#include <string>

#include "engine/container_config.h"

namespace ctr {

/// "type=bind,source=/a,target=/b,readonly": throws UsageError naming the key that is not understood.
MountRequest parse_mount_option(const std::string& text);

/// Adds a -v value: "src:dst[:opts]" to the binds, a path alone to the anonymous volumes. Relative sources that begin
/// with a dot are taken from the current directory.
void add_volume_option(const std::string& text, ContainerConfig& config, HostConfig& host);

}  // namespace ctr
