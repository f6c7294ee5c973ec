// The six kinds of OCI hooks: when they run, in which namespaces, with the container's state on standard input.
#pragma once

#include <functional>
#include <string>

#include "runtime/sandbox.h"

namespace ctr {

bool has_create_hooks(const HooksSpec& hooks);

/// The state as JSON text. A pid of 0 is left out.
std::string hook_state(const Spec& spec, const SandboxOptions& options, std::string_view status, pid_t pid);

/// Runs one hook in the runtime's namespaces. Throws when it fails, or takes longer than its timeout.
void run_hook(const HookSpec& hook, std::string_view kind, const std::string& state);

/// prestart and createRuntime here, createContainer in the container's namespaces but with the runtime's root.
void run_create_hooks(const Spec& spec, const SandboxOptions& options, pid_t pid);
/// startContainer, inside the container with the process's own privileges; a failure stops the start.
void run_start_container_hooks(const Spec& spec, const SandboxOptions& options, const Cgroup* cgroup, pid_t pid);
/// poststart, here. Throws when one fails: the caller then ends the container (runtime-spec 1.2.1; before, and in no
/// runtime in use, it was a warning).
void run_poststart_hooks(const Spec& spec, const SandboxOptions& options, pid_t pid);

/// The same as functions that hold what they need; empty when there are no such hooks.
std::function<void(pid_t)> start_container_hooks_of(const Spec& spec, const SandboxOptions& options,
                                                    const Cgroup* cgroup);
std::function<void(pid_t)> poststart_hooks_of(const Spec& spec, const SandboxOptions& options);

}  // namespace ctr
