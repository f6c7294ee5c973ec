// The root file system of the init child. The container's files are foreign: nothing in them is reached by a path that
// the kernel resolves freely. Every mount point is opened with openat2(RESOLVE_IN_ROOT) and the mount is moved onto
// that descriptor, so that a link that is swapped in between leads nowhere (the class of CVE-2025-31133, -52565,
// -52881). What masks come from is the host's own /dev/null, never the container's.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/statfs.h>

#include "runtime/init_child.h"

namespace ctr::init {

namespace {

constexpr int kMaxLinks = 40;

/// A path inside the root that is being walked: `done` has no links in it, `rest` is still to come.
struct Walk {
  char done[kPathSize];
  char rest[kPathSize];
  char scratch[kPathSize];
};

void drop_last_component(char* path) {
  std::size_t end = length(path);
  while (end > 0 && path[end - 1] != '/') --end;
  path[end > 0 ? end - 1 : 0] = '\0';
}

/// Moves the next component of `rest` to the end of `done`. False at the end; "." and ".." are done away with.
bool next_component(Walk& walk) {
  for (;;) {
    std::size_t start = 0;
    while (walk.rest[start] == '/') ++start;
    std::size_t end = start;
    while (walk.rest[end] != '\0' && walk.rest[end] != '/') ++end;
    if (end == start) return false;
    const std::size_t size = end - start;
    const bool is_dot = size == 1 && walk.rest[start] == '.';
    const bool is_up = size == 2 && walk.rest[start] == '.' && walk.rest[start + 1] == '.';
    if (is_up) drop_last_component(walk.done);
    if (!is_dot && !is_up) {
      std::size_t at = length(walk.done);
      if (at > 0) walk.done[at++] = '/';
      for (std::size_t index = start; index < end; ++index) walk.done[at++] = walk.rest[index];
      walk.done[at] = '\0';
    }
    std::size_t out = 0;
    for (std::size_t index = end; walk.rest[index] != '\0'; ++index) walk.rest[out++] = walk.rest[index];
    walk.rest[out] = '\0';
    if (!is_dot && !is_up) return true;
  }
}

bool has_more(const Walk& walk) {
  std::size_t index = 0;
  while (walk.rest[index] == '/') ++index;
  return walk.rest[index] != '\0';
}

/// Puts the target of the link `fd`, which is the last component of `done`, in front of what is still to come.
long follow_link(Walk& walk, int fd) {
  const long size = call(SYS_readlinkat, fd, "", walk.scratch, kPathSize - 1);
  if (size < 0) return size;
  const std::size_t rest_size = length(walk.rest);
  std::size_t at = static_cast<std::size_t>(size);
  if (at + rest_size + 2 > kPathSize || length(walk.done) + at + rest_size + 3 > kPathSize) return -ENAMETOOLONG;
  walk.scratch[at++] = '/';
  for (std::size_t index = 0; index <= rest_size; ++index) walk.scratch[at + index] = walk.rest[index];
  if (walk.scratch[0] == '/') {
    walk.done[0] = '\0';
  } else {
    drop_last_component(walk.done);
  }
  __builtin_memcpy(walk.rest, walk.scratch, at + rest_size + 1);
  return 0;
}

/// Makes the last component of `done`, which does not exist.
long make_component(int root, Walk& walk, Leaf leaf, mode_t mode) {
  __builtin_memcpy(walk.scratch, walk.done, length(walk.done) + 1);
  drop_last_component(walk.scratch);
  const char* name = walk.done + length(walk.scratch);
  if (*name == '/') ++name;
  const long parent = open_inside(root, walk.scratch[0] == '\0' ? "." : walk.scratch, O_PATH | O_DIRECTORY);
  if (parent < 0) return parent;
  long result = 0;
  if (has_more(walk) || leaf == Leaf::Directory) {
    result = call(SYS_mkdirat, parent, name, mode);
  } else {
    result = call(SYS_openat, parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (result >= 0) call(SYS_close, result);
  }
  call(SYS_close, parent);
  return result == -EEXIST ? 0 : result;
}

long walk_and_make(int root, Walk& walk, Leaf leaf, mode_t mode) {
  int links = 0;
  while (next_component(walk)) {
    long fd = open_inside(root, walk.done, O_PATH | O_NOFOLLOW);
    if (fd == -ENOENT) {
      const long made = make_component(root, walk, leaf, mode);
      if (made < 0) return made;
      fd = open_inside(root, walk.done, O_PATH | O_NOFOLLOW);
    }
    if (fd < 0) return fd;
    struct statx status;
    long result = stat_fd(static_cast<int>(fd), &status);
    if (result == 0 && (status.stx_mode & S_IFMT) == S_IFLNK) {
      result = ++links > kMaxLinks ? -ELOOP : follow_link(walk, static_cast<int>(fd));
    } else if (result == 0 && has_more(walk) && !is_directory(status)) {
      result = -ENOTDIR;
    }
    call(SYS_close, fd);
    if (result < 0) return result;
  }
  return open_inside(root, walk.done[0] == '\0' ? "." : walk.done, O_PATH);
}

/// mount_setattr, or -ENOSYS before Linux 5.12.
long set_attributes(int mount, std::uint64_t set, std::uint64_t clear, unsigned flags) {
  if (set == 0 && clear == 0) return 0;
  mount_attr attributes{};
  attributes.attr_set = set;
  attributes.attr_clr = clear;
  return call(SYS_mount_setattr, mount, "", AT_EMPTY_PATH | flags, &attributes, sizeof attributes);
}

unsigned long mount_flags_of(std::uint64_t attributes) {
  unsigned long flags = 0;
  if ((attributes & MOUNT_ATTR_RDONLY) != 0) flags |= MS_RDONLY;
  if ((attributes & MOUNT_ATTR_NOSUID) != 0) flags |= MS_NOSUID;
  if ((attributes & MOUNT_ATTR_NODEV) != 0) flags |= MS_NODEV;
  if ((attributes & MOUNT_ATTR_NOEXEC) != 0) flags |= MS_NOEXEC;
  if ((attributes & MOUNT_ATTR__ATIME) == MOUNT_ATTR_NOATIME) flags |= MS_NOATIME;
  if ((attributes & MOUNT_ATTR__ATIME) == MOUNT_ATTR_STRICTATIME) flags |= MS_STRICTATIME;
  if ((attributes & MOUNT_ATTR_NODIRATIME) != 0) flags |= MS_NODIRATIME;
  return flags;
}

/// The same for kernels before 5.12: a remount of the attached mount, on top of the flags that it has.
long remount(int mount, std::uint64_t set, std::uint64_t clear) {
  struct statfs status;
  long result = call(SYS_fstatfs, mount, &status);
  if (result < 0) return result;
  // The ST_ and MS_ numbers of these flags are the same.
  constexpr unsigned long kKept = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME;
  unsigned long flags = static_cast<unsigned long>(status.f_flags) & kKept;
  flags = (flags & ~mount_flags_of(clear)) | mount_flags_of(set);
  char path[kFdPathSize];
  return call(SYS_mount, nullptr, fd_path(mount, path), nullptr, MS_REMOUNT | MS_BIND | flags, nullptr);
}

long new_file_system(const PlannedMount& mount) {
  const long context = call(SYS_fsopen, mount.type, FSOPEN_CLOEXEC);
  if (context < 0) return context;
  long result = 0;
  if (mount.source != nullptr) {
    result = call(SYS_fsconfig, context, FSCONFIG_SET_STRING, "source", mount.source, 0);
  }
  for (std::size_t index = 0; index < mount.option_count && result >= 0; ++index) {
    const PlannedOption& option = mount.options[index];
    const int command = option.value == nullptr ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING;
    result = call(SYS_fsconfig, context, command, option.key, option.value, 0);
  }
  if (result >= 0) result = call(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0);
  if (result >= 0) result = call(SYS_fsmount, context, FSMOUNT_CLOEXEC, mount.set_attributes);
  call(SYS_close, context);
  return result;
}

long new_tree(const PlannedMount& mount) {
  if (mount.kind == MountKind::Prepared) return mount.prepared;
  if (mount.kind == MountKind::FileSystem) return new_file_system(mount);
  const int flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (mount.is_recursive ? AT_RECURSIVE : 0);
  return call(SYS_open_tree, AT_FDCWD, mount.source, flags);
}

long open_mount_point(int root, const PlannedMount& mount, Leaf leaf) {
  // Directories are made first; only then is a plain target opened once more without following a single link.
  const long target = make_inside(root, mount.target, leaf, 0755);
  if (target < 0 || !mount.is_plain_target) return target;
  call(SYS_close, target);
  return open_inside(root, mount.target, O_PATH, RESOLVE_NO_SYMLINKS);
}

/// A tmpfs without a mode of its own looks like the directory that it covers.
void copy_mode(int mount, const struct statx& status) {
  call(SYS_fchmodat, mount, ".", status.stx_mode & 07777);
  call(SYS_fchownat, mount, ".", status.stx_uid, status.stx_gid, 0);
}

/// Sets the attributes of a detached mount; false when this kernel can do that only once it is attached (before 5.12).
bool apply_attributes(const Child& child, const PlannedMount& mount, std::size_t index, int tree) {
  long result = 0;
  // A new file system got its own at fsmount.
  if (mount.kind != MountKind::FileSystem)
    result = set_attributes(tree, mount.set_attributes, mount.clear_attributes, 0);
  const bool must_remount = result == -ENOSYS;
  if (!must_remount) require(child, result, InitStep::MountAttributes, index);
  result = set_attributes(tree, mount.recursive_set_attributes, mount.recursive_clear_attributes, AT_RECURSIVE);
  require(child, result, InitStep::MountAttributes, index);
  return !must_remount;
}

void mount_one(const Child& child, int root, std::size_t index) {
  const PlannedMount& mount = child.plan.mounts.data[index];
  const long tree = new_tree(mount);
  if (tree == -ENODEV && mount.is_optional) return;
  require(child, tree, InitStep::Mount, index);
  const int fd = static_cast<int>(tree);
  struct statx status;
  require(child, stat_fd(fd, &status), InitStep::Mount, index);
  const long target = open_mount_point(root, mount, is_directory(status) ? Leaf::Directory : Leaf::File);
  require(child, target, InitStep::MountTarget, index);
  require(child, stat_fd(static_cast<int>(target), &status), InitStep::MountTarget, index);
  const bool is_configured = apply_attributes(child, mount, index, fd);
  require(child, attach(tree, target), InitStep::Mount, index);
  if (!is_configured) {
    require(child, remount(fd, mount.set_attributes, mount.clear_attributes), InitStep::MountAttributes, index);
  }
  if (mount.keeps_mode) copy_mode(fd, status);
  if (mount.propagation != 0) {
    char path[kFdPathSize];
    require(child, call(SYS_mount, nullptr, fd_path(fd, path), nullptr, mount.propagation, nullptr),
            InitStep::MountAttributes, index);
  }
  call(SYS_close, tree);
  call(SYS_close, target);
}

/// One empty read-only tmpfs for all masked directories: the first mask attaches it, the others are clones.
long mask_directory(long& empty, long target) {
  if (empty >= 0) {
    const long clone = call(SYS_open_tree, empty, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
    if (clone < 0) return clone;
    const long result = attach(clone, target);
    call(SYS_close, clone);
    return result;
  }
  PlannedMount mount{};
  const PlannedOption options[] = {{"size", "0"}, {"mode", "0755"}, {"nr_inodes", "1"}};
  mount.type = "tmpfs";
  mount.source = "tmpfs";
  mount.options = options;
  mount.option_count = 3;
  mount.set_attributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  empty = new_file_system(mount);
  return empty < 0 ? empty : attach(empty, target);
}

long mask_file(long target) {
  // The host's /dev/null: the container's could be anything.
  const long null = call(SYS_open_tree, AT_FDCWD, "/dev/null", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  if (null < 0) return null;
  struct statx status;
  long result = stat_fd(static_cast<int>(null), &status);
  if (result == 0 && (status.stx_rdev_major != 1 || status.stx_rdev_minor != 3)) result = -ENODEV;
  if (result == 0) result = attach(null, target);
  call(SYS_close, null);
  return result;
}

void mask_paths(const Child& child, int root) {
  long empty = -1;
  for (std::size_t index = 0; index < child.plan.masked_paths.size; ++index) {
    const long target = open_inside(root, child.plan.masked_paths.data[index], O_PATH);
    if (is_absent(target)) continue;
    require(child, target, InitStep::MaskPath, index);
    struct statx status;
    require(child, stat_fd(static_cast<int>(target), &status), InitStep::MaskPath, index);
    require(child, is_directory(status) ? mask_directory(empty, target) : mask_file(target), InitStep::MaskPath, index);
    call(SYS_close, target);
  }
  if (empty >= 0) call(SYS_close, empty);
}

void protect_paths(const Child& child, int root) {
  for (std::size_t index = 0; index < child.plan.readonly_paths.size; ++index) {
    const long target = open_inside(root, child.plan.readonly_paths.data[index], O_PATH);
    if (is_absent(target)) continue;
    require(child, target, InitStep::ReadonlyPath, index);
    const long tree =
        call(SYS_open_tree, target, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
    require(child, tree, InitStep::ReadonlyPath, index);
    const long result = set_attributes(static_cast<int>(tree), MOUNT_ATTR_RDONLY, 0, AT_RECURSIVE);
    if (result != -ENOSYS) require(child, result, InitStep::ReadonlyPath, index);
    require(child, attach(tree, target), InitStep::ReadonlyPath, index);
    if (result == -ENOSYS) {
      require(child, remount(static_cast<int>(tree), MOUNT_ATTR_RDONLY, 0), InitStep::ReadonlyPath, index);
    }
    call(SYS_close, tree);
    call(SYS_close, target);
  }
}

long change_propagation(const char* path, unsigned long propagation) {
  return call(SYS_mount, nullptr, path, nullptr, propagation, nullptr);
}

/// Attaches the root on top of the host's "/": nothing is hidden by that, because absolute paths start below it.
int attach_root(const Child& child) {
  const InitPlan& plan = child.plan;
  require(child, change_propagation("/", plan.root_propagation_before), InitStep::Propagation);
  // A shared root would carry what is attached on it out of this namespace, and pivot_root refuses it.
  if ((plan.root_propagation_before & MS_SHARED) != 0) {
    require(child, change_propagation("/", MS_PRIVATE), InitStep::Propagation);
  }
  long root = plan.root_mount;
  if (root < 0) {
    root = call(SYS_open_tree, AT_FDCWD, plan.root_path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
    require(child, root, InitStep::AttachRoot);
  }
  require(child, call(SYS_move_mount, root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH), InitStep::AttachRoot);
  char path[kFdPathSize];
  require(child, change_propagation(fd_path(static_cast<int>(root), path), MS_PRIVATE), InitStep::AttachRoot);
  return static_cast<int>(root);
}

}  // namespace

long open_inside(int root, const char* path, int flags, unsigned long resolve, unsigned mode) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
  how.mode = mode;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | resolve;
  long fd = -EAGAIN;
  // EAGAIN: something was renamed while ".." was resolved.
  for (int attempt = 0; attempt < 32 && fd == -EAGAIN; ++attempt) fd = call(SYS_openat2, root, path, &how, sizeof how);
  return fd;
}

long stat_fd(int fd, struct statx* result) {
  return call(SYS_statx, fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, result);
}

long attach(long tree, long target) {
  return call(SYS_move_mount, tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

bool is_absent(long error) {
  return error == -ENOENT || error == -ENOTDIR;
}

bool is_directory(const struct statx& status) {
  return (status.stx_mode & S_IFMT) == S_IFDIR;
}

long make_inside(int root, const char* path, Leaf leaf, mode_t mode) {
  const long existing = open_inside(root, path[0] == '\0' ? "." : path, O_PATH);
  if (existing != -ENOENT) return existing;
  Walk walk;
  const std::size_t size = length(path);
  if (size >= kPathSize) return -ENAMETOOLONG;
  walk.done[0] = '\0';
  __builtin_memcpy(walk.rest, path, size + 1);
  return walk_and_make(root, walk, leaf, mode);
}

int set_up_root(Child& child) {
  const InitPlan& plan = child.plan;
  const int root = attach_root(child);
  for (std::size_t index = 0; index < plan.mounts.size; ++index) mount_one(child, root, index);
  make_devices(child, root);
  if (plan.has_terminal) open_terminal(child, root);
  const long cwd = make_inside(root, plan.cwd, Leaf::Directory, 0755);
  if (cwd >= 0) call(SYS_close, cwd);
  if (plan.waits_for_hooks) {
    InitMessage message{};
    message.type = InitMessageType::MountsReady;
    send_message(child, message);
    wait_for_parent(child, kParentGo, InitStep::WaitForParent);
  }
  protect_paths(child, root);
  mask_paths(child, root);
  if (plan.is_root_readonly) {
    long result = set_attributes(root, MOUNT_ATTR_RDONLY, 0, 0);
    if (result == -ENOSYS) result = remount(root, MOUNT_ATTR_RDONLY, 0);
    require(child, result, InitStep::ReadonlyRoot);
  }
  return root;
}

void enter_root(const Child& child, int root) {
  require(child, call(SYS_fchdir, root), InitStep::PivotRoot);
  if (child.plan.uses_pivot_root) {
    // Old and new root are stacked on one place; the old one is on top and is what "." then unmounts.
    require(child, call(SYS_pivot_root, ".", "."), InitStep::PivotRoot);
    require(child, call(SYS_umount2, ".", MNT_DETACH), InitStep::PivotRoot);
  } else {
    require(child, call(SYS_chroot, "."), InitStep::PivotRoot);
  }
  require(child, call(SYS_chdir, "/"), InitStep::PivotRoot);
  call(SYS_close, root);
  if (child.plan.root_propagation_after != 0) {
    require(child, change_propagation("/", child.plan.root_propagation_after), InitStep::Propagation);
  }
}

}  // namespace ctr::init
