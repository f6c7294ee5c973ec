#include "shim/own_process.h"

#include <csignal>
#include <ctime>
#include <fcntl.h>
#include <sys/signalfd.h>

#include "base/error.h"
#include "runtime/cgroup.h"

namespace ctr {

std::optional<FileLock> acquire_shim_lock(const fs::path& path) {
  constexpr int kTries = 50;
  for (int attempt = 1;; ++attempt) {
    std::optional<FileLock> lock = FileLock::try_acquire(path, LockMode::Exclusive);
    if (lock || attempt == kTries) return lock;
    const timespec pause = {0, 1'000'000};
    ::nanosleep(&pause, nullptr);
  }
}

void leave_holder_cgroup() noexcept {
  if (cgroup_layout() != CgroupLayout::V2) return;
  const Fd processes(::open("/sys/fs/cgroup/cgroup.procs", O_WRONLY | O_CLOEXEC));
  // Not allowed, as an ordinary user: whoever removes the group waits until we have ended.
  if (processes && ::write(processes.get(), "0", 1) < 0) return;
}

Fd take_shutdown_signals() {
  for (const int ignored : {SIGPIPE, SIGHUP, SIGINT, SIGQUIT}) ::signal(ignored, SIG_IGN);
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGTERM);
  check(::sigprocmask(SIG_BLOCK, &signals, nullptr), "block", "SIGTERM");
  return Fd(check(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK), "make a signal descriptor"));
}

}  // namespace ctr
