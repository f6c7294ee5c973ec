// The kernel's mount interface as values and thin calls. A detached mount is a descriptor that no path leads to: it can
// be made in one mount namespace and moved into another, and is gone when its last descriptor closes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/file.h"

namespace ctr {

/// An overlay file system: read-only directories, topmost first, and perhaps a writable one. Data, not an action.
struct OverlayMount {
  std::vector<fs::path> lowers;
  /// Both empty for a read-only overlay.
  fs::path upper;
  fs::path work;
  /// No syncs on the upper directory: for what is thrown away when the machine stops.
  bool is_volatile = false;
  /// Overlay's own marks as user.overlay.* (in a user namespace).
  bool is_userxattr = false;
  /// The file of the mount namespace in which the lowers show what is meant; empty: they do everywhere.
  fs::path mount_namespace;
};

/// The mount makes it through fsopen and `lowerdir+` (Linux 6.5). Throws Unavailable where the kernel has no such
/// thing; then the data of overlay_mount_data and mount(2) remain.
Fd mount_overlay_detached(const OverlayMount& overlay);

/// The option text for mount(2). Paths are escaped as overlayfs wants them; the caller keeps it under one page.
std::string overlay_mount_data(const OverlayMount& overlay);

/// A file system with these options ("key=value" or "flag"), not attached anywhere. `attributes` are MOUNT_ATTR_*.
Fd mount_detached(const std::string& type, const std::vector<std::string>& options, std::uint64_t attributes = 0);

/// A copy of what is mounted at `path` (with what is mounted below it, if `is_recursive`), not attached anywhere.
Fd clone_mount(int dir, const fs::path& path, bool is_recursive);

/// Attaches a detached mount at a directory or file given as descriptor (O_PATH).
void attach_mount(int mount, int target);
void attach_mount(int mount, const fs::path& target);

/// Whether one call changes all mounts below a place (mount_setattr, Linux 5.12).
bool can_change_mount_trees();

}  // namespace ctr
