// The mounts of a container: -v, --mount, VOLUME, --volumes-from and --tmpfs become MountPoints at create (what `inspect`
// shows), and these become mounts of the OCI spec at each start, when missing host directories are made.
#pragma once

#include <string>
#include <vector>

#include "engine/container_config.h"
#include "engine/container_record.h"
#include "engine/context.h"
#include "runtime/spec.h"

namespace ctr {

/// Resolves everything that `config` (merged with the image's) and `host` ask for. Volumes are made as needed. Throws
/// Invalid in Docker's words.
std::vector<MountPoint> resolve_mounts(Context& context, const ContainerConfig& config, const HostConfig& host);

/// The mounts that the user asked for, parents before children, for the spec of this start. Makes missing host
/// directories, fills new volumes from the image, and pins what must be mounted first under the run directory.
std::vector<MountSpec> prepare_mounts(Context& context, const ContainerRecord& record);

/// Unmounts what prepare_mounts pinned. Safe to repeat.
void release_mounts(Context& context, const std::string& id);

/// `inspect`'s Mounts.
Json mounts_document(const ContainerRecord& record);

/// "source:destination[:options]"; throws Invalid in Docker's words.
MountPoint parse_bind(const std::string& text);

}  // namespace ctr
