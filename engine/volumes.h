// Volumes: directories that outlive containers, $CTR_ROOT/volumes/<name>/. Made by name on first use or without a name
// for one container; filled from the image on first use. Knows containers only as users that hold a volume.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "engine/container_config.h"
#include "engine/containers.h"
#include "engine/context.h"
#include "engine/filters.h"

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

/// Unmounts what mount_volume mounted, unless a running container uses the volume. Absence is fine.
void unmount_idle_volume(Context& context, const std::string& name);

/// Removes it if it is anonymous and no container but `container_id` uses it; otherwise does nothing.
void remove_anonymous_volume(Context& context, const std::string& name, const std::string& container_id);

/// `ctr volume create`. Throws Exists when the volume is there with other options.
Volume create_volume(Context& context, const VolumeRequest& request);

/// Throws NotFound in Docker's words.
Volume get_volume(Context& context, const std::string& name);
std::optional<Volume> find_volume(Context& context, const std::string& name);

/// Ids of the containers, running or not, that have it mounted.
std::vector<std::string> volume_users(Context& context, const std::string& name);

/// Docker's document: CreatedAt, Driver, Labels, Mountpoint, Name, Options, Scope.
Json inspect_volume(const Volume& volume);

/// The filters of `volume ls`: dangling, driver, label, name.
Filters parse_volume_filters(const std::vector<std::string>& texts);
/// By name.
std::vector<Volume> list_volumes(Context& context, const Filters& filters);

/// Throws Busy "volume is in use - [ids]", NotFound when it does not exist.
void remove_volume(Context& context, const std::string& name);

/// The filters of `volume prune`: all, label, label!.
Filters parse_volume_prune_filters(const std::vector<std::string>& texts);
/// Removes the volumes without users: anonymous ones, or with the filter all=true all.
PruneReport prune_volumes(Context& context, const Filters& filters);

/// Bytes that a volume's files take.
std::uint64_t volume_size(const Volume& volume);

}  // namespace ctr
