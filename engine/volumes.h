// Volumes: directories that outlive containers, $CTR_ROOT/volumes/<name>/. Made by name on first use or without a name
// for one container; filled from the image on first use. Knows containers only as users that hold a volume.
#pragma once

#include <cstdint>
#include <string>

#include "engine/container_config.h"
#include "engine/context.h"

namespace ctr {

struct VolumeRequest {
  std::string name;  // empty: a generated one of 64 hex digits
  std::string driver = "local";
  StringMap options;
  StringMap labels;
  bool anonymous = false;  // made for one container, removed with it (--rm, rm -v)
};

struct Volume {
  std::string name;
  std::string driver;
  std::string mountpoint;  // the directory with its content
  std::string created;     // RFC 3339
  StringMap options;
  StringMap labels;
  bool anonymous = false;
};

/// The volume of that name, made if it is missing. Throws Invalid in Docker's words for a bad name, driver or option.
Volume ensure_volume(Context& context, const VolumeRequest& request);

/// Copies what the image has at `path` (below `rootfs`, a directory descriptor of the mounted root filesystem) into the
/// volume if the volume is still empty, with owners, modes, times and xattrs. Does nothing if the image has no such
/// directory. Serialised with other containers that fill the same volume.
void fill_volume(Context& context, const std::string& name, int rootfs, const std::string& path);

/// Mounts what the volume's options ask for (type, device, o) on its directory, if they do and it is not mounted yet.
void mount_volume(Context& context, const std::string& name);

/// Removes it if it is anonymous and no container but `container_id` uses it; otherwise does nothing.
void remove_anonymous_volume(Context& context, const std::string& name, const std::string& container_id);

}  // namespace ctr
