// Devices and the terminal of the init child. Nodes are made by descriptor of their directory inside the root; the
// slave of a terminal is opened through its master, never by its name.
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <termios.h>

#include "runtime/init_child.h"

namespace ctr::init {

namespace {

/// The directory of `path` inside the root, kept open from one call to the next while it stays the same.
struct OpenDirectory {
  const char* path = nullptr;
  std::size_t size = 0;
  long fd = -1;
};

/// Sets `directory` to where `path` lies and returns its last component; null on failure.
const char* enter_directory_of(const Child& child, int root, const char* path, InitStep step, std::size_t index,
                               OpenDirectory& directory) {
  std::size_t size = length(path);
  while (size > 0 && path[size - 1] != '/') --size;
  if (directory.fd < 0 || directory.size != size || !starts_with(path, directory.path, size)) {
    if (directory.fd >= 0) call(SYS_close, directory.fd);
    char parent[kPathSize];
    if (size >= kPathSize) fail(child, step, ENAMETOOLONG, index);
    __builtin_memcpy(parent, path, size);
    parent[size] = '\0';
    directory = {path, size, make_inside(root, parent, Leaf::Directory, 0755)};
    require(child, directory.fd, step, index);
  }
  return path + size;
}

/// In a user namespace no node can be made: the host's node of the same path is bound onto a file.
long bind_device(int directory, const char* name, const char* host_path) {
  const long file = call(SYS_openat, directory, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (file < 0) return file;
  call(SYS_close, file);
  const long target = call(SYS_openat, directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (target < 0) return target;
  const long tree = call(SYS_open_tree, AT_FDCWD, host_path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  const long result = tree < 0 ? tree : attach(tree, target);
  if (tree >= 0) call(SYS_close, tree);
  call(SYS_close, target);
  return result;
}

bool is_same_device(int directory, const char* name, const PlannedDevice& device) {
  struct statx status;
  if (call(SYS_statx, directory, name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &status) < 0) return false;
  const dev_t number = (static_cast<dev_t>(status.stx_rdev_major & 0xfffu) << 8) | (status.stx_rdev_minor & 0xffu) |
                       (static_cast<dev_t>(status.stx_rdev_minor & ~0xffu) << 12);
  return (status.stx_mode & S_IFMT) == (device.mode & S_IFMT) && number == device.device;
}

long make_device(int directory, const char* name, const PlannedDevice& device) {
  long result = call(SYS_mknodat, directory, name, device.mode, device.device);
  if (result == -EEXIST && !is_same_device(directory, name, device)) {
    call(SYS_unlinkat, directory, name, 0);
    result = call(SYS_mknodat, directory, name, device.mode, device.device);
  }
  if (result == -EPERM) return bind_device(directory, name, device.path);
  if (result == -EEXIST) result = call(SYS_fchmodat, directory, name, device.mode & 07777);
  if (result == 0 && (device.uid != 0 || device.gid != 0)) {
    result = call(SYS_fchownat, directory, name, device.uid, device.gid, AT_SYMLINK_NOFOLLOW);
  }
  return result;
}

}  // namespace

void make_devices(const Child& child, int root) {
  OpenDirectory directory;
  for (std::size_t index = 0; index < child.plan.devices.size; ++index) {
    const PlannedDevice& device = child.plan.devices.data[index];
    const char* name = enter_directory_of(child, root, device.path, InitStep::Device, index, directory);
    require(child, make_device(static_cast<int>(directory.fd), name, device), InitStep::Device, index);
  }
  for (std::size_t index = 0; index < child.plan.links.size; ++index) {
    const PlannedLink& link = child.plan.links.data[index];
    const char* name = enter_directory_of(child, root, link.path, InitStep::DeviceLink, index, directory);
    long result = call(SYS_symlinkat, link.target, directory.fd, name);
    if (result == -EEXIST && call(SYS_unlinkat, directory.fd, name, 0) == 0) {
      result = call(SYS_symlinkat, link.target, directory.fd, name);
    }
    // A bind mount or a directory in its place is what somebody wanted there.
    if (result != -EEXIST && result != -EBUSY && result != -EISDIR) require(child, result, InitStep::DeviceLink, index);
  }
  if (directory.fd >= 0) call(SYS_close, directory.fd);
}

void open_terminal(const Child& child, int root) {
  const InitPlan& plan = child.plan;
  long master = open_inside(root, "dev/pts/ptmx", O_RDWR | O_NOCTTY, RESOLVE_NO_SYMLINKS);
  if (is_absent(master)) master = open_inside(root, "dev/ptmx", O_RDWR | O_NOCTTY);
  require(child, master, InitStep::Terminal);
  struct statx status;
  require(child, stat_fd(static_cast<int>(master), &status), InitStep::Terminal);
  if (status.stx_rdev_major != 5 || status.stx_rdev_minor != 2) fail(child, InitStep::Terminal, ENODEV);
  const int unlocked = 0;
  require(child, call(SYS_ioctl, master, TIOCSPTLCK, &unlocked), InitStep::Terminal);
  if (plan.terminal_rows != 0 || plan.terminal_columns != 0) {
    const winsize size{plan.terminal_rows, plan.terminal_columns, 0, 0};
    require(child, call(SYS_ioctl, master, TIOCSWINSZ, &size), InitStep::Terminal);
  }
  // The slave by descriptor: its name in /dev/pts could be something else by now.
  const long slave = call(SYS_ioctl, master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  require(child, slave, InitStep::Terminal);
  call(SYS_fchown, slave, plan.uid, -1);
  send_descriptor(child, InitMessageType::Console, static_cast<int>(master), InitStep::Terminal);
  call(SYS_close, master);
  if (plan.root_path != nullptr || plan.root_mount >= 0) {
    const long console = make_inside(root, "dev/console", Leaf::File, 0755);
    require(child, console, InitStep::Terminal);
    const long tree = call(SYS_open_tree, slave, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
    require(child, tree, InitStep::Terminal);
    require(child, attach(tree, console), InitStep::Terminal);
    call(SYS_close, tree);
    call(SYS_close, console);
  }
  for (int stream = 0; stream < 3; ++stream) require(child, call(SYS_dup3, slave, stream, 0), InitStep::Terminal);
  call(SYS_close, slave);
  require(child, call(SYS_ioctl, 0, TIOCSCTTY, 0), InitStep::Terminal);
}

}  // namespace ctr::init
