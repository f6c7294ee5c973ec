// The options of the local volume driver: type, device and o, as mount(8) would take them. A volume without them is a
// plain directory.
#pragma once

#include <string>

#include "base/file.h"
#include "engine/container_config.h"

namespace ctr {

/// Throws Invalid in Docker's words for an option that the driver does not know, or one that lacks its partner.
void check_volume_options(const StringMap& options);

/// Whether the options ask for a mount.
bool has_volume_mount(const StringMap& options);
bool is_mounted(const fs::path& directory);
/// Mounts on `directory`. REQUIRES: has_volume_mount.
void mount_volume_options(const StringMap& options, const fs::path& directory);

}  // namespace ctr
