// The process itself: identity, limits, privileges, filter, gate, execve. The order is the point. The filter needs
// CAP_SYS_ADMIN unless no_new_privs is set, so without it the filter comes before the last capabilities go; with it, as
// late as possible. Everything that weakens the process is done before the gate, because it may wait there for long,
// beside processes that share its pid namespace.
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "runtime/init_child.h"

namespace ctr::init {

namespace {

constexpr unsigned long kIoPriorityOfProcess = 1;
constexpr int kLastCapability = 63;

void join_keyring(const Child& child) {
  if (child.plan.keyring_name == nullptr) return;
  const long result = call(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, child.plan.keyring_name);
  // ENOSYS: a kernel without keys, or a filter that plays one.
  if (result != -ENOSYS) require(child, result, InitStep::Keyring);
}

/// A command that isn't root may open its streams again through /proc/self/fd (or /dev/stdout): pipes become its own.
void own_pipes(const Child& child) {
  if (child.plan.uid == 0) return;
  for (int stream = 0; stream < 3; ++stream) {
    struct statx status;
    if (stat_fd(stream, &status) < 0 || (status.stx_mode & S_IFMT) != S_IFIFO) continue;
    call(SYS_fchown, stream, child.plan.uid, -1);
  }
}

void set_limits(const Child& child) {
  for (std::size_t index = 0; index < child.plan.rlimits.size; ++index) {
    const PlannedRlimit& limit = child.plan.rlimits.data[index];
    const struct {
      std::uint64_t soft;
      std::uint64_t hard;
    } value{limit.soft, limit.hard};
    require(child, call(SYS_prlimit64, 0, limit.resource, &value, nullptr), InitStep::Rlimit, index);
  }
}

void set_scheduling(const Child& child) {
  const InitPlan& plan = child.plan;
  if (plan.has_personality) require(child, call(SYS_personality, plan.personality), InitStep::Personality);
  if (plan.has_memory_policy) {
    const std::size_t bits = plan.memory_nodes.size * sizeof(unsigned long) * 8;
    // The kernel takes one bit less than it is told.
    require(child, call(SYS_set_mempolicy, plan.memory_policy, plan.memory_nodes.data, bits == 0 ? 0 : bits + 1),
            InitStep::MemoryPolicy);
  }
  if (plan.affinity.size > 0) {
    require(child, call(SYS_sched_setaffinity, 0, plan.affinity.size * sizeof(unsigned long), plan.affinity.data),
            InitStep::Affinity);
  }
  if (plan.has_scheduler) {
    require(child, call(SYS_sched_setattr, 0, &plan.scheduler, 0), InitStep::Scheduler);
  }
  if (plan.io_priority >= 0) {
    require(child, call(SYS_ioprio_set, kIoPriorityOfProcess, 0, plan.io_priority), InitStep::IoPriority);
  }
}

void set_capabilities(const Child& child, std::uint64_t effective, std::uint64_t permitted, std::uint64_t inheritable) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const auto low = [](std::uint64_t mask) { return static_cast<std::uint32_t>(mask); };
  const auto high = [](std::uint64_t mask) { return static_cast<std::uint32_t>(mask >> 32); };
  const __user_cap_data_struct data[2] = {{low(effective), low(permitted), low(inheritable)},
                                          {high(effective), high(permitted), high(inheritable)}};
  require(child, call(SYS_capset, &header, data), InitStep::Capabilities);
}

std::uint64_t permitted_capabilities(const Child& child) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  require(child, call(SYS_capget, &header, data), InitStep::Capabilities);
  return data[0].permitted | static_cast<std::uint64_t>(data[1].permitted) << 32;
}

void limit_bounding_set(const Child& child) {
  for (int number = 0; number <= kLastCapability; ++number) {
    if ((child.plan.capabilities.bounding >> number & 1) != 0) continue;
    const long result = call(SYS_prctl, PR_CAPBSET_DROP, number, 0, 0, 0);
    if (result == -EINVAL) return;  // above the last one that this kernel knows
    require(child, result, InitStep::Capabilities, static_cast<std::size_t>(number));
  }
}

void change_user(const Child& child) {
  const InitPlan& plan = child.plan;
  if (plan.may_set_groups) {
    require(child, call(SYS_setgroups, plan.groups.size, plan.groups.data), InitStep::Groups);
  }
  require(child, call(SYS_setresgid, plan.gid, plan.gid, plan.gid), InitStep::UserId);
  require(child, call(SYS_setresuid, plan.uid, plan.uid, plan.uid), InitStep::UserId);
}

void set_final_capabilities(const Child& child) {
  const PlannedCapabilities& wanted = child.plan.capabilities;
  set_capabilities(child, wanted.effective, wanted.permitted, wanted.inheritable);
  for (int number = 0; number <= kLastCapability; ++number) {
    if ((wanted.ambient >> number & 1) == 0) continue;
    require(child, call(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0), InitStep::Capabilities,
            static_cast<std::size_t>(number));
  }
}

void load_filter(const Child& child) {
  const InitPlan& plan = child.plan;
  if (plan.seccomp_filter == nullptr) return;
  sock_fprog program{};
  program.len = static_cast<unsigned short>(plan.seccomp_filter_size / sizeof(sock_filter));
  program.filter = static_cast<sock_filter*>(const_cast<void*>(plan.seccomp_filter));
  unsigned flags = plan.seccomp_flags;
  if (plan.has_seccomp_listener) flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
  const long result = call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
  require(child, result, InitStep::Seccomp);
  if (!plan.has_seccomp_listener) return;
  send_descriptor(child, InitMessageType::SeccompListener, static_cast<int>(result), InitStep::Seccomp);
  call(SYS_close, result);
}

/// User, capabilities and filter together, because each needs what the others take away.
void drop_privileges(const Child& child) {
  const InitPlan& plan = child.plan;
  limit_bounding_set(child);
  require(child, call(SYS_prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0), InitStep::Capabilities);
  change_user(child);
  // The rest comes before the filter, because a profile may well forbid prctl.
  require(child, call(SYS_prctl, PR_SET_KEEPCAPS, 0, 0, 0, 0), InitStep::Capabilities);
  if (plan.no_new_privileges) {
    require(child, call(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), InitStep::NoNewPrivileges);
    // Its notify descriptor is for our parent, who may be gone once the gate opens.
    if (plan.has_seccomp_listener) load_filter(child);
  } else if (plan.seccomp_filter != nullptr) {
    const std::uint64_t held = permitted_capabilities(child);
    set_capabilities(child, held, held, 0);
    load_filter(child);
  }
  set_final_capabilities(child);
}

/// A container's path may lead to a descriptor of ours, whose directory has no name below the root: the kernel then
/// says
/// "(unreachable)".
void check_working_directory(const Child& child) {
  char path[kPathSize];
  require(child, call(SYS_getcwd, path, sizeof path), InitStep::WorkingDirectory);
  if (path[0] != '/') fail(child, InitStep::WorkingDirectory, EXDEV);
}

/// Finds out before the gate whether there is a command to execute. What the filter or the kernel won't tell is left
/// to execve.
void find_command(const Child& child) {
  long error = -ENOENT;
  for (const char* candidate : child.plan.candidates) {
    struct statx status;
    long result = call(SYS_statx, AT_FDCWD, candidate, 0, STATX_BASIC_STATS, &status);
    if (result == 0 && is_directory(status)) result = -EISDIR;
    if (result == 0) result = call(SYS_faccessat, AT_FDCWD, candidate, X_OK);
    if (result == -ENOENT || result == -ENOTDIR) continue;
    if (result != -EACCES && result != -EISDIR) return;
    error = result;
  }
  fail(child, InitStep::FindCommand, -error);
}

void wait_at_gate(Child& child) {
  InitMessage message{};
  message.type = InitMessageType::Ready;
  send_message(child, message);
  if (child.plan.gate_fd < 0) {
    wait_for_parent(child, kParentStart, InitStep::StartGate);
    return;
  }
  char byte = 0;
  long count = 0;
  do {
    count = call(SYS_read, child.plan.gate_fd, &byte, 1);
  } while (count == -EINTR);
  if (count != 1) ::_exit(1);
  child.report_fd = child.plan.gate_report_fd;
}

void follow_parent_into_death(const Child& child) {
  if (child.plan.parent_death_signal == 0) return;
  require(child, call(SYS_prctl, PR_SET_PDEATHSIG, child.plan.parent_death_signal, 0, 0, 0), InitStep::ParentDied);
  // It may have died before: then nobody holds the other end of the socket.
  pollfd socket{child.plan.sync_fd, POLLIN, 0};
  const timespec now{};
  const long ready = call(SYS_ppoll, &socket, 1, &now, nullptr, 0);
  if (ready > 0 && (socket.revents & (POLLHUP | POLLERR)) != 0) ::_exit(1);
}

[[noreturn]] void execute(const Child& child) {
  long error = -ENOENT;
  for (const char* candidate : child.plan.candidates) {
    const long result = call(SYS_execve, candidate, child.plan.argv, child.plan.envp);
    if (result == -ENOENT || result == -ENOTDIR) {
      // A script whose interpreter is missing also says ENOENT.
      if (error == -ENOENT) error = result;
      continue;
    }
    error = result;
    if (result != -EACCES) break;
  }
  fail(child, InitStep::Execute, -error);
}

}  // namespace

void run_process(Child& child) {
  const InitPlan& plan = child.plan;
  join_keyring(child);
  own_pipes(child);
  set_limits(child);
  set_scheduling(child);
  call(SYS_umask, plan.umask);
  // As root first, for what only root may enter; a directory of the user's own on a network may refuse root.
  const bool root_entered = call(SYS_chdir, plan.cwd) == 0;
  if (!plan.keeps_privileges) drop_privileges(child);
  if (!root_entered) require(child, call(SYS_chdir, plan.cwd), InitStep::WorkingDirectory);
  check_working_directory(child);
  follow_parent_into_death(child);
  find_command(child);
  wait_at_gate(child);
  if (plan.no_new_privileges && !plan.has_seccomp_listener) load_filter(child);
  execute(child);
}

}  // namespace ctr::init
