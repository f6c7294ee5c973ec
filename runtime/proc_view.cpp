#include "runtime/proc_view.h"

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"
#include "base/user_namespace.h"

namespace ctr {

namespace {

/// In a bare child with a pid namespace of its own: only system calls.
int mount_proc() {
  const int context = ::fsopen("proc", FSOPEN_CLOEXEC);
  if (context < 0) return 1;
  if (::fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) return 1;
  return ::fsmount(context, FSMOUNT_CLOEXEC, 0) < 0 ? 1 : 0;
}

bool probe() {
  if (is_in_first_user_namespace()) return true;
  const long pid = ::syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  if (pid == 0) ::_exit(mount_proc());
  if (pid < 0) return false;
  int status = 0;
  while (::waitpid(static_cast<pid_t>(pid), &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

bool can_mount_proc() {
  static const bool can = probe();
  return can;
}

}  // namespace ctr
