#include "shim/namespace_holder.h"

#include <sys/file.h>
#include <sys/syscall.h>

#include <cerrno>
#include <csignal>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace ctr {

namespace {

/// What leads the session's network out is started by `ctr` and ends with us: pasta.pid, or slirp4netns.pid.
void end_network_helpers(const fs::path& directory) {
  for (const char* name : {"pasta", "slirp4netns"}) {
    const auto text = find_file(directory / (std::string(name) + ".pid"), 64);
    const auto pid = text ? parse_int(trim(*text)) : std::nullopt;
    if (!pid || *pid <= 1) continue;
    // A number alone could be another's by now.
    const std::string comm = find_file("/proc/" + std::to_string(*pid) + "/comm", 64).value_or("");
    const bool is_it = comm.starts_with(name) || (comm.starts_with("passt") && std::string(name) == "pasta");
    if (is_it) ::kill(static_cast<pid_t>(*pid), SIGTERM);
    ::unlink((directory / (std::string(name) + ".pid")).c_str());
  }
}

}  // namespace

int hold_namespaces(const char* lock) {
  // Nothing of who started us: not even a pipe that they wait for.
  ::syscall(SYS_close_range, 3, ~0U, 0);
  ::signal(SIGINT, SIG_IGN);
  ::signal(SIGHUP, SIG_IGN);
  const Fd file = open_file(lock, O_RDONLY);
  while (::flock(file.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return 1;
  }
  const fs::path directory = fs::path(lock).parent_path();
  end_network_helpers(directory);
  // While we still have the lock: whoever gets it next must not try to join a process that is about to be gone.
  ::unlink((directory / "holder").c_str());
  return 0;
}

}  // namespace ctr
