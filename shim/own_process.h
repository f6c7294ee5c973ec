// What a shim asks of the system for itself: the lock that says it lives, word of the machine's shutdown, and to be out
// of its group at the end.
#pragma once

#include <optional>

#include "base/fd.h"
#include "base/lock.h"

namespace ctr {

/// The exit status when the process could not be started for a reason that is ours.
inline constexpr int kOwnFailure = 125;

/// Takes the lock that says that a shim lives. Nothing if another shim does. Who only looks whether it is free holds it
/// for microseconds, so a taken one is tried again for a moment.
std::optional<FileLock> acquire_shim_lock(const fs::path& path);

/// Moves this process to the root group where each shim has a group of its own (v2), so that it can be removed.
void leave_holder_cgroup() noexcept;

/// A descriptor that reads as signalfd_siginfo when the system asks us to end. Other signals of a session's end are
/// ignored from now on, as is SIGPIPE.
Fd take_shutdown_signals();

}  // namespace ctr
