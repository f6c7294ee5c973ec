#include "runtime/network_namespace.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "base/error.h"

namespace ctr {
namespace {

// A file that may be mounted over and removed like the one of `ip netns`.
constexpr mode_t kMountPointMode = 0444;

void enter(int netns) { check(::setns(netns, CLONE_NEWNET), "enter network namespace"); }

/// Being stuck in the wrong namespace would let later code configure the wrong host; nothing sensible can follow.
void enter_or_die(int netns) noexcept {
  if (::setns(netns, CLONE_NEWNET) == 0) return;
  std::perror("ctr: return to network namespace");
  std::abort();
}

class ReturnTicket {
 public:
  ReturnTicket() : home_(current_network_namespace()) {}
  ~ReturnTicket() { enter_or_die(home_.get()); }
  ReturnTicket(const ReturnTicket&) = delete;
  ReturnTicket& operator=(const ReturnTicket&) = delete;

 private:
  Fd home_;
};

bool is_namespace(int fd) {
  struct statfs info {};
  return ::fstatfs(fd, &info) == 0 && info.f_type == NSFS_MAGIC;
}

}  // namespace

Fd current_network_namespace() { return open_file("/proc/thread-self/ns/net", O_RDONLY); }

void create_network_namespace(const fs::path& path) {
  // The thread leaves for a namespace of its own and pins it from inside: a child process would do the same for the
  // price of a fork. The mount is private to this path: nothing below it can propagate.
  open_file(path, O_RDONLY | O_CREAT | O_EXCL, kMountPointMode);
  try {
    const ReturnTicket back;
    check(::unshare(CLONE_NEWNET), "create network namespace");
    check(::mount("/proc/thread-self/ns/net", path.c_str(), nullptr, MS_BIND, nullptr), "keep network namespace on",
          path);
  } catch (...) {
    ::unlink(path.c_str());
    throw;
  }
}

void remove_network_namespace(const fs::path& path) {
  // More than one mount can lie on the file when a maker was killed and another came.
  while (::umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) {
  }
  if (errno != EINVAL && errno != ENOENT) throw_errno(errno, "unmount", path.native());
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) throw_errno(errno, "remove", path.native());
}

Fd open_network_namespace(const fs::path& path) {
  Fd netns = open_file(path, O_RDONLY);
  if (!is_namespace(netns.get())) throw Error(ErrorKind::NotFound, "no network namespace on " + path.native());
  return netns;
}

void in_network_namespace(int netns, const std::function<void()>& body) {
  const ReturnTicket back;
  enter(netns);
  body();
}

}  // namespace ctr
