#include "runtime/hooks.h"

#include <fcntl.h>
#include <memory>
#include <poll.h>
#include <sched.h>
#include <signal.h>

#include "base/error.h"
#include "base/time.h"
#include "runtime/join.h"
#include "runtime/launch.h"

namespace ctr {

namespace {

constexpr int kHookPipeSize = 1 << 20;

/// The state as something to read: written at once, so that a hook that reads nothing holds nobody up.
Fd state_input(const std::string& state) {
  const Pipe pipe = make_pipe();
  ::fcntl(pipe.write.get(), F_SETPIPE_SZ, kHookPipeSize);
  ::fcntl(pipe.write.get(), F_SETFL, O_NONBLOCK);
  write_all(pipe.write.get(), as_bytes(state), "the state for a hook");
  return duplicate(pipe.read.get());
}

void wait_for_hook(Sandbox& process, const HookSpec& hook, const std::string& name) {
  pollfd waiting{process.pidfd(), POLLIN, 0};
  const int timeout = hook.timeout_seconds ? *hook.timeout_seconds * 1000 : -1;
  const std::int64_t end = monotonic_ms() + timeout;
  for (;;) {
    const int left = timeout < 0 ? -1 : static_cast<int>(std::max<std::int64_t>(0, end - monotonic_ms()));
    const int ready = ::poll(&waiting, 1, left);
    if (ready < 0 && errno == EINTR) continue;
    if (ready > 0) break;
    // What it started too: a shell's children would hold our streams open.
    ::kill(-process.pid(), SIGKILL);
    process.kill(SIGKILL);
    process.wait();
    throw Error(ErrorKind::Unavailable, name + " did not end within " + std::to_string(*hook.timeout_seconds) + " s");
  }
  const ExitStatus status = process.wait();
  if (status.success()) return;
  throw Error(ErrorKind::System, name + (status.signal != 0 ? " was ended by " + signal_name(status.signal)
                                                            : " exited with " + std::to_string(status.code)));
}

std::string hook_name(const HookSpec& hook, std::string_view kind) {
  return std::string(kind) + " hook " + hook.path.native();
}

/// A plan that executes the hook as the runtime itself, wherever `init` says that it shall be.
void run_planned(std::unique_ptr<PlannedInit> init, const HookSpec& hook, const std::string& name,
                 const std::string& state) {
  InitPlan& plan = init->plan;
  const Fd input = state_input(state);
  plan_streams(*init, Stdio{input.get(), 2, 2}, 0);
  plan.keeps_privileges = true;
  const std::vector<const char*> candidates = {init->arena.text(hook.path.native())};
  plan.candidates = init->arena.list(candidates);
  plan.argv = init->arena.texts(hook.args.empty() ? std::vector<std::string>{hook.path.native()} : hook.args);
  plan.envp = init->arena.texts(hook.env);
  in_context(name, [&] {
    Sandbox process(launch(std::move(init), nullptr, {}));
    process.start();
    wait_for_hook(process, hook, name);
  });
}

void run_create_container_hook(const HookSpec& hook, const std::string& state, pid_t pid) {
  const std::string name = hook_name(hook, "createContainer");
  auto init = std::make_unique<PlannedInit>();
  plan_join_namespaces(*init, pid);
  run_planned(std::move(init), hook, name, state);
}

}  // namespace

bool has_create_hooks(const HooksSpec& hooks) {
  return !hooks.prestart.empty() || !hooks.create_runtime.empty() || !hooks.create_container.empty();
}

std::string hook_state(const Spec& spec, const SandboxOptions& options, std::string_view status, pid_t pid) {
  Json state = Json::object({{"ociVersion", kOciRuntimeVersion}, {"id", options.id}, {"status", status}});
  if (pid != 0) state["pid"] = pid;
  state["bundle"] = options.bundle.native();
  if (!spec.annotations.empty()) state["annotations"] = spec.annotations;
  return state.dump();
}

void run_hook(const HookSpec& hook, std::string_view kind, const std::string& state) {
  run_planned(std::make_unique<PlannedInit>(), hook, hook_name(hook, kind), state);
}

void run_create_hooks(const Spec& spec, const SandboxOptions& options, pid_t pid) {
  const std::string state = hook_state(spec, options, "creating", pid);
  for (const HookSpec& hook : spec.hooks.prestart) run_hook(hook, "prestart", state);
  for (const HookSpec& hook : spec.hooks.create_runtime) run_hook(hook, "createRuntime", state);
  for (const HookSpec& hook : spec.hooks.create_container) run_create_container_hook(hook, state, pid);
}

void run_start_container_hooks(const Spec& spec, const SandboxOptions& options, const Cgroup* cgroup, pid_t pid) {
  const std::string state = hook_state(spec, options, "created", pid);
  for (const HookSpec& hook : spec.hooks.start_container) {
    const std::string name = hook_name(hook, "startContainer");
    ProcessSpec process = *spec.process;
    process.terminal = false;
    process.cwd = "/";
    process.args = hook.args.empty() ? std::vector<std::string>{hook.path.native()} : hook.args;
    process.env = hook.env;
    const Fd input = state_input(state);
    JoinOptions join;
    join.id = options.id;
    join.seccomp_filter = options.seccomp_filter;
    join.user = options.user;
    join.program = hook.path;
    in_context(name, [&] {
      Sandbox running = exec_in(pid, process, Stdio{input.get(), 2, 2}, cgroup, join);
      running.start();
      wait_for_hook(running, hook, name);
    });
  }
}

void run_poststart_hooks(const Spec& spec, const SandboxOptions& options, pid_t pid) {
  const std::string state = hook_state(spec, options, "running", pid);
  for (const HookSpec& hook : spec.hooks.poststart) run_hook(hook, "poststart", state);
}

std::function<void(pid_t)> start_container_hooks_of(const Spec& spec, const SandboxOptions& options,
                                                    const Cgroup* cgroup) {
  if (spec.hooks.start_container.empty()) return {};
  SandboxOptions kept = options;
  kept.on_namespaces = {};
  const std::optional<Cgroup> own = cgroup == nullptr ? std::nullopt : std::optional<Cgroup>(*cgroup);
  return [spec, kept, own](pid_t pid) { run_start_container_hooks(spec, kept, own ? &*own : nullptr, pid); };
}

std::function<void(pid_t)> poststart_hooks_of(const Spec& spec, const SandboxOptions& options) {
  if (spec.hooks.poststart.empty()) return {};
  SandboxOptions kept = options;
  kept.on_namespaces = {};
  return [spec, kept](pid_t pid) { run_poststart_hooks(spec, kept, pid); };
}

}  // namespace ctr
