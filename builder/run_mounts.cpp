#include "builder/run_mounts.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/error.h"
#include "base/fd_path.h"
#include "base/lock.h"
#include "base/rooted_path.h"
#include "builder/copy_selection.h"
#include "builder/exec_copy.h"
#include "builder/file_output.h"
#include "builder/rootfs_view.h"
#include "image/entry_sources.h"
#include "image/rootfs.h"
#include "runtime/sandbox.h"

namespace ctr {

namespace {

constexpr int kMaxPrivateCaches = 1000;

std::string slashed(std::string path) {
  while (path.starts_with('/')) path.erase(0, 1);
  return path;
}

void write_owned_file(const fs::path& path, const std::string& content, std::uint32_t mode, std::uint32_t uid,
                      std::uint32_t gid) {
  const Fd fd = open_file(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  write_all(fd.get(), as_bytes(content), path.native());
  if (uid != 0 || gid != 0) check(::fchown(fd.get(), uid, gid), "chown", path);
  check(::fchmod(fd.get(), mode & 07777), "chmod", path);
}

void set_owner_and_mode(const fs::path& directory, const CacheMount& mount) {
  check(::chown(directory.c_str(), mount.uid, mount.gid), "chown", directory);
  check(::chmod(directory.c_str(), mount.mode & 07777), "chmod", directory);
}

/// The path of an open file; nothing if the one that the kernel names leads elsewhere, as it does in detached mounts.
std::optional<fs::path> path_of(int fd) {
  std::error_code error;
  const fs::path path = fs::read_symlink(fd_path(fd), error);
  struct ::stat by_fd = {};
  struct ::stat by_path = {};
  if (error || ::fstat(fd, &by_fd) != 0 || ::lstat(path.c_str(), &by_path) != 0) return std::nullopt;
  if (by_fd.st_dev != by_path.st_dev || by_fd.st_ino != by_path.st_ino) return std::nullopt;
  return path;
}

/// A copy of a tree with owners, modes and times.
void fill_directory(int source, const fs::path& directory) {
  FileOutput output(directory, OutputOwners::Kept);
  DirectorySource entries(source, TreeKind::Plain, overlay_xattrs_of_this_process());
  while (const auto entry = entries.next()) output.add(*entry, entries);
  output.finish();
}

}  // namespace

fs::path cache_mounts_directory(const fs::path& store_root) { return store_root / "cache" / "mounts"; }

RunMounts::RunMounts(RunEnvironment& environment, const RunStep& step) : environment_(environment), step_(step) {
  for (const ExecMount& mount : step.op.mounts) std::visit([this](const auto& each) { add(each); }, mount);
}

RunMounts::~RunMounts() {
  forwards_.clear();
  for (auto path = mounted_.rbegin(); path != mounted_.rend(); ++path) ::umount2(path->c_str(), MNT_DETACH);
  try {
    if (!directory_.empty()) remove_tree(directory_);
  } catch (const Error&) {
    // The build's directory is removed at its end anyway.
  }
}

fs::path RunMounts::new_directory(const char* name) {
  if (directory_.empty()) {
    directory_ = environment_.scratch_directory() / ("step-" + std::to_string(step_.number));
    make_directories(directory_, 0755);
  }
  const fs::path path = directory_ / (std::string(name) + std::to_string(next_++));
  make_directories(path, 0755);
  return path;
}

void RunMounts::add_bind(const fs::path& source, const std::string& target, bool is_read_only) {
  MountSpec mount;
  mount.destination = target;
  mount.type = "bind";
  mount.source = source.native();
  mount.options = {"rbind", is_read_only ? "ro" : "rw"};
  mounts_.push_back(std::move(mount));
  struct ::stat info = {};
  check(::stat(source.c_str(), &info), "stat", source);
  (S_ISDIR(info.st_mode) ? directory_targets_ : file_targets_).push_back(target);
}

// ---- bind ----

/// The calling thread gets a mount namespace of its own, from which the step's container is made: mounts in it are seen
/// by nobody else.
void RunMounts::enter_private_namespace() {
  if (is_private_) return;
  check(::unshare(CLONE_NEWNS), "unshare the mount namespace");
  check(::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr), "make / a slave mount");
  is_private_ = true;
}

fs::path RunMounts::mount_overlay_here(const OverlayMount& overlay) {
  enter_private_namespace();
  const fs::path path = new_directory("mount");
  const Fd mount = mount_overlay(overlay);
  attach_mount(mount.get(), path);
  mounted_.push_back(path);
  return path;
}

fs::path RunMounts::directory_of_input(const Built& input, const std::string& source, bool is_writable) {
  const Store& store = environment_.store();
  std::vector<Digest> layers = input.layers;
  if (input.tree) {
    const bool is_filtered = input.tree->ignore() != nullptr;
    if (!is_filtered && !is_writable) {
      const Fd at = open_in_root(input.tree->root(), source, O_PATH);
      if (const auto path = path_of(at.get())) return *path;
    }
    // A layer holds what is visible, where no path leads to the files (a tar's tree may be a mount of nobody), some are
    // hidden, or what is written must not reach the context.
    CopyOp op;
    op.sources.push_back({.input = 0, .path = source});
    op.destination = "/" + slashed(source);
    const std::vector<Selection> selections = select_files(op, {input.tree.get()});
    const LayerInfo layer = execute_copy(store.layers(), op, selections, -1, now());
    step_.pin.add(layer.identity.diff_id);
    layers = {layer.identity.diff_id};
  }
  if (layers.empty()) return new_directory("empty");
  OverlayMount overlay = plan_rootfs(store, layers, std::nullopt);
  if (is_writable) {
    const fs::path upper = new_directory("upper");
    const fs::path work = new_directory("work");
    overlay.upper = upper;
    overlay.work = work;
    overlay.is_volatile = true;
  }
  const bool is_plain = !is_writable && overlay.lowers.size() == 1 && overlay.mount_namespace.empty();
  const fs::path root = is_plain ? overlay.lowers.front() : mount_overlay_here(overlay);
  const Fd directory = open_directory(root);
  const TreePath found = resolve_in_tree(directory.get(), source, LastLink::Follow);
  if (!found.info) throw Error(ErrorKind::NotFound, "\"" + source + "\": not found");
  return root / found.path;
}

void RunMounts::add(const BindMount& mount) {
  const Built& input = step_.inputs[mount.input];
  const fs::path source = directory_of_input(input, mount.source, mount.writable);
  add_bind(source, mount.target, !mount.writable);
}

// ---- cache ----

fs::path RunMounts::prepare_cache(const CacheMount& mount, const fs::path& directory) {
  const fs::path data = directory / "data";
  if (exists(data)) return data;
  write_file_atomic(directory / "id", mount.id, Durability::Cached);
  const fs::path fresh = directory / ("new-" + std::to_string(::getpid()) + "-" + std::to_string(step_.number));
  remove_tree(fresh);
  if (const auto layer = environment_.cache_mount_layer(mount.id, step_.number)) {
    fill_directory(open_rootfs_view(environment_.store(), {*layer}).get(), fresh);
    set_owner_and_mode(fresh, mount);
  } else if (mount.input) {
    const fs::path source = directory_of_input(step_.inputs[*mount.input], mount.source, false);
    fill_directory(open_directory(source).get(), fresh);
  } else {
    make_directories(fresh, 0755);
    set_owner_and_mode(fresh, mount);
  }
  check(::rename(fresh.c_str(), data.c_str()), "publish the cache mount", data);
  return data;
}

void RunMounts::add(const CacheMount& mount) {
  const fs::path base = cache_mounts_directory(environment_.store().root()) / Digest::of(mount.id).hex();
  for (int slot = 0; slot < kMaxPrivateCaches; ++slot) {
    const fs::path directory = slot == 0 ? base : fs::path(base.native() + "." + std::to_string(slot));
    make_directories(directory, 0700);
    const fs::path lock_path = directory / "lock";
    if (mount.sharing == CacheMount::Sharing::Private) {
      auto lock = FileLock::try_acquire(lock_path, LockMode::Exclusive);
      if (!lock) continue;
      locks_.push_back(std::move(*lock));
    } else {
      if (!exists(directory / "data")) {
        const FileLock making = FileLock::acquire(lock_path, LockMode::Exclusive);
        prepare_cache(mount, directory);
      }
      locks_.push_back(FileLock::acquire(
          lock_path, mount.sharing == CacheMount::Sharing::Locked ? LockMode::Exclusive : LockMode::Shared));
    }
    const fs::path data = prepare_cache(mount, directory);
    ::utimensat(AT_FDCWD, (directory / "id").c_str(), nullptr, 0);  // the last use, for prune
    add_bind(data, mount.target, mount.read_only);
    return;
  }
  throw Error(ErrorKind::Busy, "all private cache mounts of id " + mount.id + " are in use");
}

// ---- tmpfs, secret, ssh ----

void RunMounts::add(const TmpfsMount& mount) {
  MountSpec spec;
  spec.destination = mount.target;
  spec.type = "tmpfs";
  spec.source = "tmpfs";
  spec.options = {"nosuid", "nodev"};
  if (mount.size_bytes != 0) spec.options.push_back("size=" + std::to_string(mount.size_bytes));
  mounts_.push_back(std::move(spec));
  directory_targets_.push_back(mount.target);
  tmpfs_targets_.push_back(mount.target);
}

void RunMounts::add(const SecretMount& mount) {
  const auto value = environment_.secret(mount.id);
  if (!value) {
    if (mount.required) throw Error(ErrorKind::NotFound, "secret " + mount.id + ": not found");
    return;
  }
  if (!mount.variable.empty()) variables_.push_back(mount.variable + "=" + *value);
  if (mount.target.empty()) return;
  const fs::path file = new_directory("secret") / "value";
  write_owned_file(file, *value, mount.mode, mount.uid, mount.gid);
  MountSpec spec;
  spec.destination = mount.target;
  spec.type = "bind";
  spec.source = file.native();
  spec.options = {"bind", "ro", "nosuid", "noexec", "nodev"};
  mounts_.push_back(std::move(spec));
  file_targets_.push_back(mount.target);
}

void RunMounts::add(const SshMount& mount) {
  const auto agent = environment_.ssh_agent(mount.id);
  if (!agent) {
    if (mount.required) throw Error(ErrorKind::NotFound, "unset ssh forward key " + mount.id);
    return;
  }
  forwards_.push_back(std::make_unique<SshForward>(new_directory("ssh"), "agent", *agent,
                                                   SshForward::Access{mount.mode, mount.uid, mount.gid}));
  MountSpec spec;
  spec.destination = mount.target;
  spec.type = "bind";
  spec.source = forwards_.back()->socket().native();
  spec.options = {"bind", "nosuid", "noexec", "nodev"};
  mounts_.push_back(std::move(spec));
  file_targets_.push_back(mount.target);
  if (variables_.empty() || !variables_.back().starts_with("SSH_AUTH_SOCK="))
    variables_.push_back("SSH_AUTH_SOCK=" + mount.target);
}

}  // namespace ctr
