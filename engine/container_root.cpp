#include "engine/container_root.h"

#include <fcntl.h>

#include "base/error.h"
#include "base/rooted_path.h"
#include "engine/container_state.h"
#include "engine/container_store.h"
#include "image/rootfs.h"
#include "image/store.h"
#include "runtime/join.h"
#include "runtime/sandbox.h"

namespace ctr {
namespace {

/// The mount that `path` lies in, if it is a volume or a bind mount.
const MountPoint* mount_over(const ContainerRecord& record, const std::string& path) {
  const MountPoint* best = nullptr;
  for (const MountPoint& mount : record.mounts) {
    if (mount.type != "bind" && mount.type != "volume") continue;
    const std::string& destination = mount.destination;
    const bool is_inside = path == destination || (path.starts_with(destination) && path[destination.size()] == '/');
    if (is_inside && (best == nullptr || destination.size() > best->destination.size())) best = &mount;
  }
  return best;
}

ContainerPath in_volume(const MountPoint& mount, const std::string& path) {
  ContainerPath found;
  fs::path source = mount.source;
  std::string rest = path.substr(mount.destination.size());
  if (!mount.subpath.empty()) {
    found.root = open_in_root(open_directory(source).get(), mount.subpath, O_PATH);
  } else if (fs::is_directory(source)) {
    found.root = open_directory(source);
  } else {  // a single file that is mounted
    found.root = open_directory(source.parent_path());
    rest = source.filename().native();
  }
  found.path = rest.empty() ? "." : rest;
  found.read_only = !mount.read_write;
  return found;
}

}  // namespace

std::vector<Digest> layer_ids(const ContainerRecord& record) {
  std::vector<Digest> diff_ids;
  for (const std::string& text : record.layers) diff_ids.push_back(Digest::parse(text));
  return diff_ids;
}

ContainerPath open_container_path(Context& context, const ContainerRecord& record, const std::string& path) {
  const std::string clean = ("/" / fs::path(path)).lexically_normal().native();
  const ContainerState state = read_state(context, record);
  ContainerPath found;
  found.path = clean;
  found.read_only = record.host.readonly_rootfs;
  if (state.is_running() && state.pid != 0) {
    found.root = open_container_root(state.pid);
    found.read_only = false;  // the mount itself says so
    return found;
  }
  if (const MountPoint* mount = mount_over(record, clean)) return in_volume(*mount, clean);
  if (!record.shim.root) {
    found.root = open_directory(context.store().snapshots().upper(record.snapshot));
    return found;
  }
  OverlayMount overlay = *record.shim.root;
  renew_rootfs(context.store(), layer_ids(record), overlay);
  found.root = mount_overlay(overlay, record.shim.layers_directory);
  return found;
}

Fd open_container_image(Context& context, const ContainerRecord& record) {
  if (!record.shim.root) return open_directory(context.store().snapshots().upper(record.snapshot));
  OverlayMount overlay = plan_rootfs(context.store(), layer_ids(record), std::nullopt);
  overlay.lowers.insert(overlay.lowers.begin(), context.store().snapshots().upper(record.snapshot));
  return mount_overlay(overlay);
}

}  // namespace ctr
