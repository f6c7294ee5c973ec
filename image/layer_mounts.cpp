#include "image/layer_mounts.h"

#include <fcntl.h>
#include <mutex>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/fd_path.h"
#include "base/lock.h"
#include "base/mount.h"
#include "base/mount_namespace.h"
#include "base/trace.h"
#include "image/durability.h"
#include "image/layer_erofs.h"

namespace ctr {

namespace {

constexpr const char* kNamespaceFile = "store.ns";
constexpr const char* kLockFile = "store.ns.lock";

struct stat stat_of(const fs::path& path) {
  struct stat info = {};
  check(::stat(path.c_str(), &info), "stat", path);
  return info;
}

bool is_mount_point(const fs::path& path) {
  struct statx info = {};
  check(::statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_TYPE, &info), "stat", path);
  return (info.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

struct ProbeMounts {
  explicit ProbeMounts(const fs::path& root) : run(root / "run"), mounts(root, run) { make_directories(run, 0700); }
  ~ProbeMounts() {
    try {
      remove_mount_namespace(run / kNamespaceFile);
    } catch (const Error&) {
      // A mount that stays on a file in a directory of the probe's hinders nobody.
    }
  }
  ProbeMounts(const ProbeMounts&) = delete;
  ProbeMounts& operator=(const ProbeMounts&) = delete;
  fs::path run;
  LayerMounts mounts;
};

// One file with an attribute, as the smallest layer that shows whether the kernel does all that a layer needs.
void try_erofs(const fs::path& scratch) {
  const TempDirectory store(scratch, "probe");
  make_directories(store.path() / "layers");
  const auto writer = make_erofs_writer(store.path(), UnsyncedMarkers(store.path(), "probe"), OverlayXattrs::Trusted);
  Entry entry{"file", EntryType::File, 0644};
  entry.size = 5;
  entry.xattrs["trusted.probe"] = "yes";
  TextContent content("probe");
  writer->add(entry, content);
  const Digest name = Digest::of("probe");
  writer->commit({name, 0, 0});
  const ProbeMounts probe(store.path());
  const Fd tree = probe.mounts.open_tree(name);
  const Fd file = open_at(tree.get(), "file", O_RDONLY);
  char value[8] = {};
  if (read_fd(file.get(), 100, "probe") != "probe" || ::fgetxattr(file.get(), "trusted.probe", value, sizeof value) != 3)
    throw Error(ErrorKind::Unavailable, "the kernel reads EROFS images wrongly, or without extended attributes");
  make_directories(store.path() / "empty");
  OverlayMount overlay;
  overlay.lowers = {store.path() / "empty", probe.mounts.tree_path(name)};
  in_mount_namespace(find_mount_namespace(probe.run / kNamespaceFile).get(), [&] { mount_overlay_detached(overlay); });
}

}  // namespace

Fd mount_erofs_detached(const fs::path& image) {
  const std::string source = "source=" + image.native();
  static const bool has_directio = [&] {
    try {
      mount_detached("erofs", {source, "directio"}, MOUNT_ATTR_RDONLY);
      return true;
    } catch (const Error&) {
      return false;
    }
  }();
  std::vector<std::string> options{source};
  if (has_directio) options.emplace_back("directio");
  return mount_detached("erofs", options, MOUNT_ATTR_RDONLY);
}

const std::string& why_no_erofs(const fs::path& scratch) {
  static const std::string why = [&]() -> std::string {
    if (overlay_xattrs_of_this_process() != OverlayXattrs::Trusted) return "mounting them needs root";
    try {
      try_erofs(scratch);
      return {};
    } catch (const Error& error) {
      return error.what();
    }
  }();
  return why;
}

struct LayerMounts::State {
  std::mutex mutex;
  Fd mount_namespace;
};

LayerMounts::LayerMounts(fs::path root, fs::path run)
    : root_(fs::absolute(root)), run_(fs::absolute(run)), layers_(root_ / "layers"), state_(std::make_unique<State>()) {}
LayerMounts::LayerMounts(LayerMounts&&) noexcept = default;
LayerMounts::~LayerMounts() = default;

fs::path LayerMounts::image_path(const Digest& diff_id) const {
  return layers_ / diff_id.hex() / kErofsFileName;
}

// A namespace of another life of these directories (another disk is mounted there now) is of no use.
bool LayerMounts::fits(int mount_namespace) const {
  const struct stat root = stat_of(root_);
  const struct stat run = stat_of(run_);
  bool result = false;
  in_mount_namespace(mount_namespace, [&] {
    struct stat there = {};
    result = ::stat(root_.c_str(), &there) == 0 && there.st_dev == root.st_dev && there.st_ino == root.st_ino &&
             ::stat(run_.c_str(), &there) == 0 && there.st_dev == run.st_dev && there.st_ino == run.st_ino;
  });
  return result;
}

// REQUIRES: state_->mutex held.
Fd& LayerMounts::namespace_now() const {
  Fd& known = state_->mount_namespace;
  if (known) return known;
  const fs::path pin = run_ / kNamespaceFile;
  known = find_mount_namespace(pin);
  if (known && fits(known.get())) return known;
  make_directories(run_, 0700);
  const FileLock lock = FileLock::acquire(run_ / kLockFile, LockMode::Exclusive);
  known = find_mount_namespace(pin);  // somebody else may have made it
  if (known && fits(known.get())) return known;
  create_mount_namespace(pin, {root_, run_});
  known = find_mount_namespace(pin);
  if (!known) throw Error(ErrorKind::Unavailable, "the mount namespace " + pin.native() + " disappeared");
  return known;
}

// REQUIRES: in the namespace.
void LayerMounts::mount_missing(const Digest& diff_id) const {
  const fs::path target = tree_path(diff_id);
  if (is_mount_point(target)) return;
  const FileLock lock = FileLock::acquire(run_ / kLockFile, LockMode::Exclusive);
  if (is_mount_point(target)) return;
  const TraceSpan span("mount layer", diff_id.str());
  attach_mount(in_context("layer " + diff_id.str(), [&] { return mount_erofs_detached(image_path(diff_id)); }).get(), target);
}

fs::path LayerMounts::mount(std::span<const Digest> diff_ids) const {
  std::vector<Digest> images;
  for (const Digest& diff_id : diff_ids) {
    if (path_exists(image_path(diff_id))) images.push_back(diff_id);
  }
  if (images.empty()) return {};
  const std::lock_guard guard(state_->mutex);
  in_mount_namespace(namespace_now().get(), [&] {
    for (const Digest& diff_id : images) mount_missing(diff_id);
  });
  return run_ / kNamespaceFile;
}

Fd LayerMounts::open_tree(const Digest& diff_id) const {
  if (mount(std::span(&diff_id, 1)).empty()) return open_directory(tree_path(diff_id));
  Fd directory;
  const std::lock_guard guard(state_->mutex);
  in_mount_namespace(namespace_now().get(), [&] { directory = open_directory(tree_path(diff_id)); });
  return directory;
}

}  // namespace ctr
