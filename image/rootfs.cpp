#include "image/rootfs.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <map>
#include <set>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/error.h"
#include "base/random.h"
#include "image/config.h"
#include "image/held_owner.h"
#include "image/layer_stack.h"
#include "image/layer_tree.h"
#include "image/trash.h"

namespace ctr {

namespace {

constexpr std::string_view kEmptyName = "parents-empty-";

bool has_same_attributes(const Entry& left, const Entry& right) {
  return left.mode == right.mode && left.uid == right.uid && left.gid == right.gid && left.mtime == right.mtime &&
         left.xattrs == right.xattrs;
}

void apply_attributes(const fs::path& directory, const Entry& entry) {
  const bool is_root = ::geteuid() == 0;
  if (::lchown(directory.c_str(), entry.uid, entry.gid) != 0) {
    if (is_root && errno != EPERM && errno != EINVAL) throw_errno(errno, "set owner of", directory.native());
    hold_owner(open_directory(directory).get(), {entry.uid, entry.gid});
  }
  check(::chmod(directory.c_str(), entry.mode), "set mode of", directory);
  for (const auto& [name, value] : entry.xattrs) {
    if (::lsetxattr(directory.c_str(), name.c_str(), value.data(), value.size(), 0) != 0 && errno != ENOTSUP &&
        errno != EPERM)
      throw_errno(errno, "set attribute " + name + " of", directory.native());
  }
  const struct timespec time = {entry.mtime.seconds, entry.mtime.nanoseconds};
  const struct timespec times[2] = {time, time};
  check(::utimensat(AT_FDCWD, directory.c_str(), times, AT_SYMLINK_NOFOLLOW), "set times of", directory);
}

// The directories that must be shown otherwise than the layers have them, with all their parents.
std::map<std::string, Entry> directories_to_mend(const LayerStack& stack) {
  std::map<std::string, Entry> result;
  for (const LayerStack::ImpliedDirectory& directory : stack.implied_directories()) {
    if (directory.meant.path.empty() || has_same_attributes(directory.seen, directory.meant)) continue;
    result.insert_or_assign(directory.meant.path, directory.meant);
    for (std::string_view path = parent_path(directory.meant.path); !path.empty(); path = parent_path(path)) {
      if (result.contains(std::string(path))) break;
      if (const auto entry = stack.find(path)) result.emplace(path, *entry);
    }
  }
  return result;
}

using Directories = std::map<std::string, Entry>;

void make_tree(const fs::path& tree, const Directories& directories, const Entry& root) {
  check(::mkdir(tree.c_str(), 0755), "create", tree);
  for (const auto& [path, entry] : directories) check(::mkdir((tree / path).c_str(), 0700), "create", tree / path);
  for (auto last = directories.rbegin(); last != directories.rend(); ++last)  // what is below a directory comes first
    apply_attributes(tree / last->first, last->second);
  apply_attributes(tree, root);
}

// Publishes a tree of these directories under layers/<name>; without any tree if there is nothing to mend.
void publish_parents(const Store& store, std::string_view name, const std::optional<Directories>& directories,
                     const Entry& root) {
  const fs::path target = store.layers().directory() / name;
  const fs::path made = store.layers().directory() / (".new-" + random_hex(12));
  check(::mkdir(made.c_str(), 0755), "create", made);
  const Fd lock = open_directory(made);  // tells a prune that somebody works on it
  check(::flock(lock.get(), LOCK_EX | LOCK_NB), "lock", made);
  if (directories) make_tree(made / "fs", *directories, root);
  store.markers().mark("layers/" + std::string(name));
  if (::rename(made.c_str(), target.c_str()) == 0) return;
  const int error = errno;
  move_to_trash(made, store.trash_path());
  if (error != EEXIST && error != ENOTEMPTY) throw_errno(error, "publish", target.native());
}

bool may_need_parents(const Store& store, const std::vector<Digest>& diff_ids) {
  if (diff_ids.size() < 2) return false;
  return std::ranges::any_of(diff_ids, [&](const Digest& diff_id) {
    const std::vector<std::string> implied = store.layers().info(diff_id).implied;
    return std::ranges::any_of(implied, [](const std::string& path) { return !path.empty(); });
  });
}

// The directory to put on top of the layers; nothing if they show what is meant.
std::optional<fs::path> parents_on_top(const Store& store, const std::vector<Digest>& diff_ids) {
  if (!may_need_parents(store, diff_ids)) return std::nullopt;
  const std::string name = parents_directory_name(chain_ids(diff_ids).back());
  const fs::path directory = store.layers().directory() / name;
  if (!path_exists(directory)) {
    const LayerStack stack(store.layers(), diff_ids);
    std::optional<Directories> mended = directories_to_mend(stack);
    if (mended->empty()) mended.reset();
    publish_parents(store, name, mended, stack.find("").value_or(implied_directory({})));
  }
  const fs::path tree = directory / "fs";
  return path_exists(tree) ? std::optional(tree) : std::nullopt;
}

// Overlay wants a lower directory, and two different ones where there is no upper one.
void add_empty_lowers(const Store& store, std::size_t wanted, OverlayMount& overlay) {
  for (int number = 0; overlay.lowers.size() < wanted; ++number) {
    const std::string name = std::string(kEmptyName) + std::to_string(number);
    const fs::path directory = store.layers().directory() / name;
    if (!path_exists(directory)) publish_parents(store, name, Directories(), implied_directory({}));
    overlay.lowers.push_back(directory / "fs");
  }
}

}  // namespace

std::string parents_directory_name(const Digest& chain_id) {
  return "parents-" + chain_id.hex();
}

void renew_rootfs(const Store& store, const std::vector<Digest>& diff_ids, OverlayMount& overlay) {
  overlay.mount_namespace = store.layers().mounts().mount(diff_ids);
}

OverlayMount plan_rootfs(const Store& store, const std::vector<Digest>& diff_ids,
                         const std::optional<std::string>& snapshot_id) {
  OverlayMount overlay;
  std::set<Digest> seen;
  for (std::size_t i = diff_ids.size(); i-- > 0;) {
    if (!store.layers().has(diff_ids[i]))
      throw Error(ErrorKind::NotFound, "layer " + diff_ids[i].str() + " is not in the store");
    // Overlay refuses a directory twice (ELOOP). The upper one shows everything that the lower one could.
    if (seen.insert(diff_ids[i]).second) overlay.lowers.push_back(store.layers().tree_path(diff_ids[i]));
  }
  overlay.mount_namespace = store.layers().mounts().mount(diff_ids);
  if (const auto top = parents_on_top(store, diff_ids)) overlay.lowers.insert(overlay.lowers.begin(), *top);
  add_empty_lowers(store, snapshot_id ? 1 : 2, overlay);
  overlay.is_userxattr = overlay_xattrs_of_this_process() == OverlayXattrs::User;
  if (snapshot_id) {
    overlay.upper = store.snapshots().upper(*snapshot_id);
    overlay.work = store.snapshots().work(*snapshot_id);
    if (store.snapshots().take_newness(*snapshot_id)) {
      const LayerStack stack(store.layers(), diff_ids);
      if (const auto root = stack.find("")) apply_attributes(overlay.upper, *root);
    }
  }
  return overlay;
}

}  // namespace ctr
