// The mounts of one start: MountPoints become mounts of the OCI spec. What must be mounted before the container is (an
// image, a volume's subdirectory) is pinned below $CTR_RUN/containers/<id>/mounts/.

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/error.h"
#include "base/mount.h"
#include "base/rooted_path.h"
#include "base/text.h"
#include "engine/container_mounts.h"
#include "engine/container_store.h"
#include "engine/emulation.h"
#include "engine/images.h"
#include "engine/mount_mapping.h"
#include "engine/security_options.h"
#include "engine/volume_label.h"
#include "engine/volumes.h"
#include "image/rootfs.h"
#include "image/store.h"
#include "runtime/sandbox.h"

namespace ctr {
namespace {

/// Mounts that live as long as the container does, each at a file or directory named by its number.
class PinnedMounts {
 public:
  PinnedMounts(Context& context, const std::string& id)
      : directory_(context.containers().run_directory(id) / "mounts") {}

  /// Attaches a detached mount; `like` says whether it is a directory or a file.
  fs::path attach(const Fd& mount, int like) {
    struct stat status {};
    check(::fstat(like, &status), "stat a mount");
    const fs::path place = directory_ / std::to_string(count_++);
    make_directories(directory_, 0700);
    if (S_ISDIR(status.st_mode)) {
      make_directories(place, 0700);
    } else {
      open_file(place, O_WRONLY | O_CREAT, 0600);
    }
    attach_mount(mount.get(), place);
    return place;
  }

 private:
  fs::path directory_;
  int count_ = 0;
};

fs::path pin_subpath(PinnedMounts& pinned, const Fd& root, const std::string& subpath, const std::string& what) {
  const std::optional<Fd> part = find_in_root(root.get(), subpath, O_PATH);
  if (!part) throw Error(ErrorKind::NotFound, "cannot access path " + subpath + " in " + what + ": no such file or directory");
  const Fd mount = clone_mount(part->get(), "", true);
  return pinned.attach(mount, part->get());
}

fs::path pin_image(Context& context, PinnedMounts& pinned, const MountPoint& mount) {
  const FoundImage image = get_image(context, mount.source, std::nullopt);
  const OverlayMount overlay = plan_rootfs(context.store(), image.image.diff_ids(), std::nullopt);
  const Fd root = mount_overlay(overlay);
  if (mount.subpath.empty()) return pinned.attach(root, root.get());
  const std::optional<Fd> part = find_in_root(root.get(), mount.subpath, O_PATH);
  if (!part) throw Error(ErrorKind::NotFound, "image " + mount.source + " has no path " + mount.subpath);
  const fs::path whole = pinned.attach(root, root.get());
  const Fd attached = open_directory(whole);
  return pin_subpath(pinned, attached, mount.subpath, "image " + mount.source);
}

/// -v makes a missing host directory; what --mount demanded was checked at create.
void make_bind_source(const std::string& source) {
  if (path_exists(source)) return;
  in_context("error while creating mount source path '" + source + "'", [&] { make_directories(source); });
}

fs::path source_of(Context& context, PinnedMounts& pinned, const MountPoint& mount) {
  if (mount.type == "bind") {
    make_bind_source(mount.source);
    return mount.source;
  }
  if (mount.type == "image") return pin_image(context, pinned, mount);
  mount_volume(context, mount.name);
  if (mount.subpath.empty()) return mount.source;
  return pin_subpath(pinned, open_directory(mount.source), mount.subpath, "volume " + mount.name);
}

std::vector<std::string> bind_options(const MountPoint& mount) {
  std::vector<std::string> options = {mount.non_recursive ? "bind" : "rbind"};
  const bool is_recursive = mount.recursive_read_only && !mount.non_recursive && can_change_mount_trees();
  if (!mount.read_write) options.emplace_back(is_recursive ? "rro" : "ro");
  options.push_back(mount.propagation.empty() ? "rprivate" : mount.propagation);
  return options;
}

MountSpec tmpfs_spec(const MountPoint& mount) {
  MountSpec spec;
  spec.destination = mount.destination;
  spec.type = "tmpfs";
  spec.source = "tmpfs";
  spec.options = {"noexec", "nosuid", "nodev"};
  if (!mount.read_write) spec.options.emplace_back("ro");
  for (const std::string& word : split(mount.tmpfs_options, ',')) {
    if (word == "exec" || word == "suid" || word == "dev") std::erase(spec.options, "no" + word);
    if (!word.empty()) spec.options.push_back(word);
  }
  return spec;
}

}  // namespace

std::vector<MountSpec> prepare_mounts(Context& context, const ContainerRecord& record) {
  PinnedMounts pinned(context, record.id);
  const std::string file_label = has_selinux() ? parse_security_options(record.host).selinux_file_label : "";
  std::vector<MountSpec> mounts;
  for (const MountPoint& mount : record.mounts) {
    if (mount.type == "tmpfs") {
      mounts.push_back(tmpfs_spec(mount));
      continue;
    }
    MountSpec spec;
    spec.destination = mount.destination;
    spec.type = "bind";
    spec.source = source_of(context, pinned, mount);
    const std::string label = mount.type == "image" ? "" : volume_label(mount.mode, file_label);
    if (!label.empty()) relabel_tree(spec.source, label);
    spec.options = bind_options(mount);
    if (!mount.id_mapping.empty()) {
      MountMapping mapping = parse_mount_mapping(mount.id_mapping);
      spec.options.emplace_back("idmap");
      spec.uid_mappings = std::move(mapping.uids);
      spec.gid_mappings = std::move(mapping.gids);
    }
    mounts.push_back(std::move(spec));
  }
  return mounts;
}

void release_mounts(Context& context, const std::string& id) {
  const fs::path directory = context.containers().run_directory(id) / "mounts";
  std::vector<std::string> places = list_directory(directory);
  for (auto place = places.rbegin(); place != places.rend(); ++place) {
    ::umount2((directory / *place).c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
  }
  const fs::path shm = context.containers().run_directory(id) / "shm";
  ::umount2(shm.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
  EmulatorNamespace::unpin(context.containers().run_directory(id) / kEmulationDirectory);
}

}  // namespace ctr
