// Root filesystems as data: a stack of layers, and a writable snapshot on top, become an OverlayMount that the runtime
// mounts. The one thing that is made here is a small layer with the attributes of parent directories that a tar left
// out (`implied`): a layer's tree holds them with defaults, and overlay would show these instead of the real ones
// below.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "base/mount.h"
#include "image/digest.h"
#include "image/store.h"

namespace ctr {

/// The overlay of these layers (lowest first, as in a config), with the snapshot's upper and work directories, or
/// read-only without. A new snapshot's upper gets the attributes of the root directory. Every layer must be in the
/// store: throws NotFound.
OverlayMount plan_rootfs(const Store& store, std::span<const Digest> diff_ids,
                         const std::optional<std::string>& snapshot_id);

}  // namespace ctr
