// One more process in a running container: joins its namespaces at once through a pidfd, its cgroup, and its policy
// (capabilities, seccomp, labels, no_new_privs), then executes. The container is treated as hostile: nothing of it is
// opened by path except inside its own root, and the joining process cannot be read or traced by it.
#pragma once

#include "runtime/sandbox.h"

namespace ctr {

struct JoinOptions {
  /// The container's id, for its keyring.
  std::string id;
  /// The compiled filter of the container; empty for none.
  std::string seccomp_filter;
  std::vector<std::string> seccomp_flags;
  /// Resolved in the container's root; overrides process.user.
  std::optional<UserRequest> user;
  RlimitPolicy rlimits = RlimitPolicy::ClampToOwn;
  int parent_death_signal = 0;
  int preserved_fds = 0;
  bool use_new_keyring = true;
  /// The file to execute when it is not args[0]; empty otherwise.
  fs::path program;
};

/// Starts `process` in the container whose first process is `pid`, and stops at the gate like start_sandbox.
/// `cgroup` may be null. Throws NotFound when the container is gone, SandboxError when it can't be entered.
Sandbox exec_in(pid_t pid, const ProcessSpec& process, const Stdio& stdio, const Cgroup* cgroup,
                const JoinOptions& options);

/// The root directory of a process of the container, for user lookup and copying. Throws NotFound when it is gone.
Fd open_container_root(pid_t pid);

}  // namespace ctr
