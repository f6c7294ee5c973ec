// An overlay as a detached mount on kernels without `lowerdir+` (before 6.5): fsconfig takes at most 255 bytes of
// lowerdir, mount(2) a page. A child with a mount namespace of its own but our descriptor table mounts it somewhere,
// takes a detached copy, and is gone; the copy stays behind in the table.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mount_namespace.h"
#include "runtime/sandbox.h"

namespace ctr {

namespace {

struct OverlayJob {
  const char* base;
  const char* data;
  const char* target;
  int mount = -1;
  int error = 0;
  const char* step = "";
};

int fail_job(OverlayJob& job, const char* step) {
  job.error = errno;
  job.step = step;
  return 1;
}

/// Runs in our memory while we wait (CLONE_VM, CLONE_VFORK).
int run_job(void* argument) {
  OverlayJob& job = *static_cast<OverlayJob*>(argument);
  if (::unshare(CLONE_NEWNS | CLONE_FS) != 0) return fail_job(job, "make a mount namespace");
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return fail_job(job, "make mounts private");
  if (job.base[0] != '\0' && ::chdir(job.base) != 0) return fail_job(job, "enter the layers' directory");
  if (::mount("overlay", job.target, "overlay", 0, job.data) != 0) return fail_job(job, "mount overlay");
  job.mount = ::open_tree(AT_FDCWD, job.target, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  if (job.mount < 0) return fail_job(job, "detach the overlay");
  return 0;
}

Fd mount_in_child(const std::string& data, const fs::path& base) {
  constexpr std::size_t kStackSize = 64 * 1024;
  const auto stack = std::make_unique<std::byte[]>(kStackSize);
  // Any directory will do: only the child's namespace sees it covered.
  OverlayJob job{base.c_str(), data.c_str(), "/proc"};
  const int pid = ::clone(run_job, stack.get() + kStackSize, CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD, &job);
  check(pid, "make a process that mounts the overlay");
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  if (job.error != 0) throw_errno(job.error, job.step);
  return Fd(job.mount);
}

// A kernel that mounts images from files (6.12) has `lowerdir+` too.
Fd mount_in_namespace(const OverlayMount& overlay, const fs::path& base) {
  const Fd mount_namespace = find_mount_namespace(overlay.mount_namespace);
  if (!mount_namespace)
    throw Error(ErrorKind::NotFound, "the store's mount namespace " + overlay.mount_namespace.native() + " is gone");
  OverlayMount there = overlay;
  there.mount_namespace.clear();
  Fd mount;
  in_mount_namespace(mount_namespace.get(), [&] { mount = mount_overlay(there, base); });
  return mount;
}

}  // namespace

Fd mount_overlay(const OverlayMount& overlay, const fs::path& base) {
  if (!overlay.mount_namespace.empty()) return mount_in_namespace(overlay, base);
  OverlayMount absolute = overlay;
  if (!base.empty()) {
    for (fs::path& lower : absolute.lowers) {
      if (lower.is_relative()) lower = base / lower;
    }
  }
  try {
    return mount_overlay_detached(absolute);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Unavailable) throw;
  }
  const std::string data = overlay_mount_data(overlay);
  if (data.size() >= static_cast<std::size_t>(::sysconf(_SC_PAGESIZE))) {
    throw Error(ErrorKind::Unavailable, "the image has too many layers for this kernel (Linux 6.5 lifts that limit)");
  }
  return mount_in_child(data, base);
}

}  // namespace ctr
