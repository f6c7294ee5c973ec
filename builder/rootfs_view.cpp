#include "builder/rootfs_view.h"

#include <fcntl.h>

#include "base/error.h"
#include "base/file.h"
#include "base/random.h"
#include "image/merged_tree.h"
#include "image/rootfs.h"
#include "runtime/sandbox.h"

namespace ctr {

namespace {

/// Lowers below the store become relative to it: mount(2)'s option text is one page at most.
void make_relative(OverlayMount& overlay, const fs::path& base) {
  for (fs::path& lower : overlay.lowers)
    if (lower.is_absolute()) lower = lower.lexically_relative(base);
}

Fd open_empty_directory(const Store& store) {
  const fs::path path = store.root() / "cache" / "empty";
  make_directories(path, 0755);
  return open_directory(path);
}

/// The layers' files under second names. Nothing refers to the directory but the descriptor: it is made in the trash,
/// which the next prune empties.
Fd open_merged_view(const Store& store, const std::vector<Digest>& layers) {
  const fs::path directory = store.trash_path() / ("view-" + random_hex(12));
  make_directories(store.trash_path(), 0700);
  merge_layers(store, layers, directory, MergedFiles::Linked);
  return open_directory(directory);
}

}  // namespace

Fd open_rootfs_view(const Store& store, const std::vector<Digest>& layers) {
  if (layers.empty()) return open_empty_directory(store);
  OverlayMount overlay = plan_rootfs(store, layers, std::nullopt);
  if (overlay.lowers.size() == 1 && overlay.mount_namespace.empty()) return open_directory(overlay.lowers.front());
  if (!can_mount_overlay(store)) return open_merged_view(store, layers);
  make_relative(overlay, store.root());
  const Fd mount = mount_overlay(overlay, store.root());
  return open_at(mount.get(), ".", O_RDONLY | O_DIRECTORY);
}

int RootfsViews::open(const std::vector<Digest>& layers) {
  const std::lock_guard lock(mutex_);
  const auto found = views_.find(layers);
  if (found != views_.end()) return found->second.get();
  return views_.emplace(layers, open_rootfs_view(store_, layers)).first->second.get();
}

}  // namespace ctr
