#include "runtime/launch.h"

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/error.h"
#include "base/unix_socket.h"

namespace ctr {

namespace {

/// Ends a child that was given up, whatever it is doing.
void end_child(int pidfd) {
  ::syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, nullptr, 0);
  siginfo_t info{};
  while (::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(pidfd), &info, WEXITED) < 0 && errno == EINTR) {
  }
}

/// The kernel refuses to make a process inside some groups that it lets processes enter.
bool is_refused_by_cgroup(long error) {
  return error == -EACCES || error == -EBUSY || error == -EOPNOTSUPP || error == -EPERM || error == -ENOSYS ||
         error == -EINVAL || error == -E2BIG;
}

void plan_cgroup(PlannedInit& init, const Cgroup* cgroup, std::vector<int>& files) {
  if (cgroup == nullptr) return;
  for (Fd& file : cgroup->open_tasks_files()) files.push_back(init.arena.hold(std::move(file)));
}

pid_t clone_child(PlannedInit& init, const Cgroup* cgroup, std::vector<int> files, int& pidfd) {
  const auto finish_plan = [&] {
    init.plan.cgroup_files = init.arena.list(files);
    std::vector<int> kept = init.arena.held();
    std::sort(kept.begin(), kept.end());
    init.plan.kept_fds = init.arena.list(kept);
  };
  finish_plan();
  const std::optional<Fd> directory = cgroup == nullptr ? std::nullopt : cgroup->open_unified_directory();
  if (!directory) return clone_init(init.plan, -1, &pidfd);
  const pid_t pid = clone_init(init.plan, directory->get(), &pidfd);
  if (pid >= 0 || !is_refused_by_cgroup(pid)) return pid;
  files.push_back(init.arena.hold(open_at(directory->get(), "cgroup.procs", O_WRONLY)));
  finish_plan();
  return clone_init(init.plan, -1, &pidfd);
}

/// The parent's side of the conversation.
class Conversation {
 public:
  Conversation(Sandbox::State& state, const LaunchEvents& events) : state_(state), events_(events) {}

  void run_until_ready() {
    for (;;) {
      Message received = receive_message(state_.sync.get(), sizeof(InitMessage));
      if (received.is_end) fail_without_message();
      InitMessage message{};
      if (received.bytes.size() != sizeof message) throw Error(ErrorKind::Corrupt, "the init process sent nonsense");
      std::memcpy(&message, received.bytes.data(), sizeof message);
      if (must_wait(message)) {
        early_.emplace_back(message, std::move(received.fds));
        continue;
      }
      handle(message, std::move(received.fds));
      if (is_ready_) return;
    }
  }

 private:
  /// The process that goes on may be heard before the one that made it says who it is.
  bool must_wait(const InitMessage& message) const {
    return state_.init->plan.forks_after_join && !has_forked_ && message.type != InitMessageType::Forked &&
           message.type != InitMessageType::Failure;
  }

  void handle(const InitMessage& message, std::vector<Fd> fds) {
    switch (message.type) {
      case InitMessageType::Failure:
        meet_next_process();
        throw describe_failure(state_.init->plan, message);
      case InitMessageType::NamespacesReady:
        if (events_.on_namespaces) events_.on_namespaces(state_.pid);
        return answer();
      case InitMessageType::MountsReady:
        if (events_.on_mounts) events_.on_mounts(state_.pid);
        return answer();
      case InitMessageType::Forked:
        return follow(static_cast<pid_t>(message.value));
      case InitMessageType::Console:
        if (!fds.empty()) state_.console = std::move(fds.front());
        return;
      case InitMessageType::SeccompListener:
        if (!fds.empty()) state_.seccomp_listener = std::move(fds.front());
        return;
      case InitMessageType::Ready:
        is_ready_ = true;
        return;
    }
  }

  void answer() { send_message(state_.sync.get(), as_bytes(std::string_view(&kParentGo, 1))); }

  /// The process that goes on is our child too (CLONE_PARENT); the one before it has nothing left to do.
  void follow(pid_t pid) {
    Fd next(check(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)), "open the container's process", pid));
    wait_for_pidfd(state_.pidfd.get());
    state_.pid = pid;
    state_.pidfd = std::move(next);
    has_forked_ = true;
    for (auto& [message, fds] : std::exchange(early_, {})) handle(message, std::move(fds));
  }

  /// The failure of the process that goes on may be heard before we know who it is. It must become known all the same: a
  /// child that nobody reaps keeps the pid namespace that it joined from ending.
  void meet_next_process() {
    while (state_.init->plan.forks_after_join && !has_forked_) {
      const Message received = receive_message(state_.sync.get(), sizeof(InitMessage));
      InitMessage message{};
      if (received.is_end || received.bytes.size() != sizeof message) return;
      std::memcpy(&message, received.bytes.data(), sizeof message);
      early_.clear();
      if (message.type == InitMessageType::Forked) follow(static_cast<pid_t>(message.value));
    }
  }

  [[noreturn]] void fail_without_message() {
    const ExitStatus status = wait_for_pidfd(state_.pidfd.get());
    state_.pidfd.reset();
    const std::string how = status.signal != 0 ? "was ended by " + signal_name(status.signal)
                                               : "exited with " + std::to_string(status.code);
    throw SandboxError(ErrorKind::System, "the container's init process " + how + " while it was set up", 0, 125);
  }

  Sandbox::State& state_;
  const LaunchEvents& events_;
  bool is_ready_ = false;
  bool has_forked_ = false;
  std::vector<std::pair<InitMessage, std::vector<Fd>>> early_;
};

}  // namespace

ExitStatus wait_for_pidfd(int pidfd) {
  siginfo_t info{};
  int result = 0;
  do {
    result = ::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(pidfd), &info, WEXITED);
  } while (result < 0 && errno == EINTR);
  check(result, "wait for a process");
  if (info.si_code == CLD_EXITED) return {.code = info.si_status, .signal = 0};
  return {.code = 0, .signal = info.si_status};
}

std::unique_ptr<Sandbox::State> launch(std::unique_ptr<PlannedInit> init, const Cgroup* cgroup,
                                       const LaunchEvents& events) {
  auto state = std::make_unique<Sandbox::State>();
  int pair[2];
  check(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), "make a socket pair");
  state->sync = Fd(pair[0]);
  init->plan.sync_fd = init->arena.hold(Fd(pair[1]));
  std::vector<int> cgroup_files;
  plan_cgroup(*init, cgroup, cgroup_files);
  int pidfd = -1;
  const pid_t pid = clone_child(*init, cgroup, std::move(cgroup_files), pidfd);
  if (pid < 0) throw_errno(-pid, "make the container's first process");
  state->pid = pid;
  state->pidfd = Fd(pidfd);
  // The child has its copies; ours of its end of the socket would hide its end.
  init->arena.close_held();
  state->init = std::move(init);
  try {
    Conversation(*state, events).run_until_ready();
  } catch (...) {
    if (state->pidfd) end_child(state->pidfd.get());
    throw;
  }
  return state;
}

}  // namespace ctr
