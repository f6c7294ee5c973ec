// Root filesystems as data: a stack of layers, and a writable snapshot on top, become an OverlayMount that the runtime
// mounts. The one thing that is made here is a small directory tree with the attributes of parent directories that a
// tar left out (`implied`): a layer's tree holds them with defaults, and overlay would show these instead of the real
// ones below. It is cached by chain id, layers/parents-<hex>.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/mount.h"
#include "image/digest.h"
#include "image/store.h"

namespace ctr {

/// The overlay of these layers (lowest first, as in a config), with the snapshot's upper and work directories, or
/// read-only without. A new snapshot's root directory gets the layers' attributes. Every layer must be in the store:
/// throws NotFound. REQUIRES: the caller's pin has the stack (Pin::add_stack) and the snapshot.
OverlayMount plan_rootfs(const Store& store, const std::vector<Digest>& diff_ids,
                         const std::optional<std::string>& snapshot_id);

/// What a plan of an earlier moment, perhaps before a reboot, needs now: its layers mounted.
void renew_rootfs(const Store& store, const std::vector<Digest>& diff_ids, OverlayMount& overlay);

/// The file name under layers/ of what plan_rootfs caches for a chain id.
std::string parents_directory_name(const Digest& chain_id);

}  // namespace ctr
