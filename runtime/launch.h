// Runs a plan: clone, the conversation over the sync socket until the child stands at the gate, and what a Sandbox
// keeps of it. Knows nothing of specs.
#pragma once

#include <functional>
#include <memory>

#include "runtime/cgroup.h"
#include "runtime/plan_start.h"
#include "runtime/sandbox.h"

namespace ctr {

struct LaunchEvents {
  /// The child has its namespaces and waits (plan.waits_for_parent).
  std::function<void(pid_t)> on_namespaces;
  /// The root is filled and the child waits (plan.waits_for_hooks).
  std::function<void(pid_t)> on_mounts;
};

struct Sandbox::State {
  pid_t pid = -1;
  Fd pidfd;
  Fd sync;
  Fd console;
  Fd seccomp_listener;
  std::unique_ptr<PlannedInit> init;
  /// Called before the gate opens and after the command has been executed.
  std::function<void(pid_t)> before_start;
  std::function<void(pid_t)> after_start;
};

/// Throws SandboxError when the child fails before the gate; it has then been waited for.
std::unique_ptr<Sandbox::State> launch(std::unique_ptr<PlannedInit> init, const Cgroup* cgroup,
                                       const LaunchEvents& events);

/// Waits for a child by its descriptor.
ExitStatus wait_for_pidfd(int pidfd);

}  // namespace ctr
