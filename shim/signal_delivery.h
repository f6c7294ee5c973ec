// Sends a signal to a container's first process and finds out whether anybody in there will ever take it. The kernel
// drops a signal with the default action for a pid namespace's init without a trace; only a look while everything
// stands still can tell. That is what makes `stop` end at once instead of waiting ten seconds for nobody.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <sys/types.h>

#include "runtime/cgroup.h"

namespace ctr {

enum class SignalFate {
  Taken,      // it is pending, handled or ignored on purpose, or nobody can tell: wait
  NeverTaken  // dropped, although its default action is to end the process
};

/// Whether the signal ends a process that does nothing about it.
bool ends_by_default(int signal) noexcept;

/// Sends it through the pidfd. Throws NotFound if the process is gone. `cgroup` may be null; a frozen one stays frozen.
SignalFate deliver_signal(int pidfd, pid_t pid, const Cgroup* cgroup, int signal);

/// Bit n-1 is signal n, as in /proc/<pid>/status.
struct SignalMasks {
  std::uint64_t pending = 0;  // for the whole process
  std::uint64_t blocked = 0;  // by the thread
  std::uint64_t ignored = 0;
  std::uint64_t caught = 0;
};
/// Nothing if `status` (the text of /proc/<pid>/status) lacks one of them.
std::optional<SignalMasks> parse_signal_masks(std::string_view status);

}  // namespace ctr
