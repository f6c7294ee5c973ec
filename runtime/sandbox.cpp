#include "runtime/sandbox.h"

#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/text.h"
#include "base/unix_socket.h"
#include "base/user_namespace.h"
#include "runtime/hooks.h"
#include "runtime/id_map.h"
#include "runtime/launch.h"
#include "runtime/mount_options.h"
#include "runtime/seccomp_notify.h"
#include "runtime/user_lookup.h"

namespace ctr {

namespace {

constexpr const char* kGateName = "start.fifo";
constexpr const char* kReportName = "result.fifo";

/// The root as a descriptor for looking into it, and, for a detached mount, as what the child attaches.
struct OpenRoot {
  Fd directory;
  int mount = -1;
};

OpenRoot open_root(PlannedInit& init, RootSource source, const SandboxOptions& options) {
  if (fs::path* path = std::get_if<fs::path>(&source)) {
    const fs::path absolute = path->is_absolute() ? *path : options.bundle / *path;
    OpenRoot root{open_file(absolute, O_PATH | O_DIRECTORY), -1};
    init.plan.root_path = init.arena.text(absolute.native());
    return root;
  }
  Fd mount = std::holds_alternative<Fd>(source) ? std::move(std::get<Fd>(source))
                                                : mount_overlay(std::get<OverlayMount>(source));
  OpenRoot root{duplicate(mount.get()), -1};
  root.mount = init.arena.hold(std::move(mount));
  init.plan.root_mount = root.mount;
  return root;
}

/// The file that is mounted at that path, if one is: people bind their own /etc/passwd.
std::optional<fs::path> bound_file(const Spec& spec, const char* path) {
  for (auto mount = spec.mounts.rbegin(); mount != spec.mounts.rend(); ++mount) {
    if (mount->destination.lexically_normal() == path && parse_mount_options(mount->options).is_bind)
      return mount->source;
  }
  return std::nullopt;
}

UserDatabase user_database(const Spec& spec, int root) {
  constexpr std::uint64_t kLimit = 4 * kMiB;
  UserDatabase database = read_user_database(root);
  if (const auto path = bound_file(spec, "/etc/passwd")) database.passwd = find_file(*path, kLimit).value_or("");
  if (const auto path = bound_file(spec, "/etc/group")) database.group = find_file(*path, kLimit).value_or("");
  return database;
}

/// The process with the user that was asked for by name, and its home.
ProcessSpec with_user(const Spec& spec, int root, const SandboxOptions& options, std::string& home) {
  ProcessSpec process = *spec.process;
  const UserDatabase database = user_database(spec, root);
  if (options.user) {
    const ResolvedUser user = resolve_user(database, options.user->user, options.user->groups);
    process.user.uid = user.uid;
    process.user.gid = user.gid;
    process.user.additional_gids = user.additional_gids;
  }
  home = home_of(database, process.user.uid);
  return process;
}

void make_gate(PlannedInit& init, const fs::path& directory) {
  const auto make = [&](const char* name) {
    const fs::path path = directory / name;
    if (::mkfifo(path.c_str(), 0600) < 0 && errno != EEXIST) throw_errno(errno, "make", path.native());
    return path;
  };
  // Open for both: so that opening does not wait for the other side, and the child reads no end of file.
  init.plan.gate_fd = init.arena.hold(open_file(make(kGateName), O_RDWR));
  const fs::path report = make(kReportName);
  const Fd reader = open_file(report, O_RDWR);
  init.plan.gate_report_fd = init.arena.hold(open_file(report, O_WRONLY));
}

bool may_set_groups(const Spec& spec) {
  const auto& gids = spec.linux.gid_mappings;
  if (gids.empty()) return may_call_setgroups();
  const bool is_single = gids.size() == 1 && gids[0].size == 1;
  return (!is_single || own_map_rights() == MapRights::Full) && may_call_setgroups();
}

void check_options(const Spec& spec, const SandboxOptions& options) {
  if (!spec.process) throw Error(ErrorKind::Invalid, "config.json has no process to start");
  if (spec.linux.seccomp && options.seccomp_filter.empty()) {
    throw Error(ErrorKind::Invalid, "the container has a seccomp profile that was not compiled");
  }
}

std::unique_ptr<PlannedInit> plan_start(const Spec& spec, RootSource root_source, const Stdio& stdio,
                                        const Cgroup* cgroup, const SandboxOptions& options) {
  auto init = std::make_unique<PlannedInit>();
  InitPlan& plan = init->plan;
  const OpenRoot root = open_root(*init, std::move(root_source), options);
  plan_streams(*init, stdio, options.preserved_fds);
  plan_namespaces(*init, spec);
  plan_root(*init, spec, root.directory.get(), options.bundle, cgroup);
  plan_personality(*init, spec.linux);
  std::string home;
  const ProcessSpec process = with_user(spec, root.directory.get(), options, home);
  const ProcessContext context{.id = options.id,
                               .seccomp_filter = options.seccomp_filter,
                               .seccomp = spec.linux.seccomp ? &*spec.linux.seccomp : nullptr,
                               .rlimits = options.rlimits,
                               .parent_death_signal = options.parent_death_signal,
                               .use_new_keyring = options.use_new_keyring,
                               .has_user_namespace = find_namespace(spec, NamespaceType::User) != nullptr,
                               .home = home};
  plan_process(*init, process, context);
  plan.uses_pivot_root = options.use_pivot_root;
  plan.may_set_groups = may_set_groups(spec);
  plan.waits_for_parent = plan.waits_for_parent || options.on_namespaces != nullptr;
  plan.waits_for_hooks = has_create_hooks(spec.hooks);
  if (!options.gate_directory.empty()) make_gate(*init, options.gate_directory);
  return init;
}

/// Turns what went wrong before the child exists into the same type as what goes wrong in it.
template <typename Body>
auto as_sandbox_error(Body&& body) -> decltype(body()) {
  try {
    return body();
  } catch (const SandboxError&) {
    throw;
  } catch (const Error& error) {
    throw SandboxError(error.kind(), error.what(), error.error_number(), 125);
  }
}

}  // namespace

std::optional<UserRequest> user_request_of(const Spec& spec) {
  const auto user = spec.annotations.find(std::string(kUserAnnotation));
  const auto groups = spec.annotations.find(std::string(kGroupsAnnotation));
  if (user == spec.annotations.end() && groups == spec.annotations.end()) return std::nullopt;
  UserRequest request;
  if (user != spec.annotations.end()) request.user = user->second;
  if (groups != spec.annotations.end() && !groups->second.empty()) request.groups = split(groups->second, ',');
  return request;
}

Sandbox::Sandbox(std::unique_ptr<State> state) : state_(std::move(state)) {}
Sandbox::Sandbox(Sandbox&&) noexcept = default;

Sandbox& Sandbox::operator=(Sandbox&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}

Sandbox::~Sandbox() {
  if (!state_ || !state_->sync || !state_->pidfd) return;
  try {
    kill(SIGKILL);
    wait();
  } catch (const Error&) {
    // It is gone already, or nobody can end it.
  }
}

pid_t Sandbox::pid() const noexcept {
  return state_->pid;
}
int Sandbox::pidfd() const noexcept {
  return state_->pidfd.get();
}
Fd Sandbox::take_console() {
  return std::move(state_->console);
}
Fd Sandbox::take_seccomp_listener() {
  return std::move(state_->seccomp_listener);
}

void Sandbox::start() {
  State& state = *state_;
  // A failure here throws with the gate still closed: the destructor ends the process.
  if (state.before_start) state.before_start(state.pid);
  InitMessage failure{};
  bool has_failed = false;
  try {
    send_message(state.sync.get(), as_bytes(std::string_view(&kParentStart, 1)));
    // Closed by execve, without a word.
    const Message answer = receive_message(state.sync.get(), sizeof failure);
    has_failed = !answer.is_end && answer.bytes.size() == sizeof failure;
    if (has_failed) std::memcpy(&failure, answer.bytes.data(), sizeof failure);
  } catch (const Error&) {
    wait();
    state.sync.reset();
    throw SandboxError(ErrorKind::System, "the container's init process ended before it was started", 0, 125);
  }
  state.sync.reset();
  if (has_failed) {
    wait();
    throw describe_failure(state.init->plan, failure);
  }
  state.init.reset();
  if (!state.after_start) return;
  try {
    state.after_start(state.pid);
  } catch (const Error&) {
    kill(SIGKILL);
    wait();
    throw;
  }
}

Fd Sandbox::release() {
  state_->sync.reset();
  return std::move(state_->pidfd);
}

ExitStatus Sandbox::wait() {
  return wait_for_pidfd(state_->pidfd.get());
}

void Sandbox::kill(int signal) const {
  check(::syscall(SYS_pidfd_send_signal, state_->pidfd.get(), signal, nullptr, 0), "signal the process", state_->pid);
}

Sandbox start_sandbox(const Spec& spec, RootSource root, const Stdio& stdio, const Cgroup* cgroup,
                      const SandboxOptions& options) {
  return as_sandbox_error([&] {
    check_options(spec, options);
    auto init = plan_start(spec, std::move(root), stdio, cgroup, options);
    LaunchEvents events;
    events.on_namespaces = [&](pid_t pid) {
      if ((find_namespace(spec, NamespaceType::User) != nullptr) && !spec.linux.uid_mappings.empty() &&
          find_namespace(spec, NamespaceType::User)->path.empty()) {
        write_id_maps(pid, spec.linux.uid_mappings, spec.linux.gid_mappings);
      }
      if (options.on_namespaces) options.on_namespaces(pid);
    };
    events.on_mounts = [&](pid_t pid) { run_create_hooks(spec, options, pid); };
    auto state = launch(std::move(init), cgroup, events);
    if (state->seccomp_listener && !spec.linux.seccomp->listener_path.empty()) {
      send_seccomp_listener(spec, options.id, options.bundle, state->pid, state->seccomp_listener.get());
    }
    state->before_start = start_container_hooks_of(spec, options, cgroup);
    state->after_start = poststart_hooks_of(spec, options);
    return Sandbox(std::move(state));
  });
}

bool has_start_gate(const fs::path& directory) {
  const Fd gate(::open((directory / kGateName).c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  return static_cast<bool>(gate);
}

void open_start_gate(const fs::path& directory, const std::string& command) {
  const Fd report(::open((directory / kReportName).c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  const Fd gate(::open((directory / kGateName).c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  if (!report || !gate) throw Error(ErrorKind::Invalid, "cannot start a container that is not in the state created");
  write_all(gate.get(), as_bytes(std::string_view(&kParentStart, 1)), "the start gate");
  pollfd waiting{report.get(), POLLIN, 0};
  while (::poll(&waiting, 1, -1) < 0 && errno == EINTR) {
  }
  InitMessage failure{};
  const ssize_t size = ::read(report.get(), &failure, sizeof failure);
  fs::remove(directory / kGateName);
  fs::remove(directory / kReportName);
  if (size == sizeof failure) throw command_failure(command, failure.error);
}

std::vector<std::string> run_poststop_hooks(const Spec& spec, const SandboxOptions& options) {
  std::vector<std::string> failures;
  for (const HookSpec& hook : spec.hooks.poststop) {
    try {
      run_hook(hook, "poststop", hook_state(spec, options, "stopped", 0));
    } catch (const Error& error) {
      failures.emplace_back(error.what());
    }
  }
  return failures;
}

}  // namespace ctr
