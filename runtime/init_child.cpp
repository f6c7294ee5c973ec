#include "runtime/init_child.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>

namespace ctr::init {

void fail(const Child& child, InitStep step, long error, std::size_t index) {
  const InitMessage message{InitMessageType::Failure, step, static_cast<std::int32_t>(index),
                            static_cast<std::int32_t>(error), 0};
  if (child.report_fd >= 0) call(SYS_write, child.report_fd, &message, sizeof message);
  call(SYS_write, child.plan.sync_fd, &message, sizeof message);
  ::_exit(1);
}

void send_message(const Child& child, const InitMessage& message) {
  // The parent is gone: there is nobody left to tell.
  if (call(SYS_write, child.plan.sync_fd, &message, sizeof message) != sizeof message) ::_exit(1);
}

void send_descriptor(const Child& child, InitMessageType type, int fd, InitStep step) {
  InitMessage message{};
  message.type = type;
  iovec vector{&message, sizeof message};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr header{};
  header.msg_iov = &vector;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  cmsghdr* part = CMSG_FIRSTHDR(&header);
  part->cmsg_level = SOL_SOCKET;
  part->cmsg_type = SCM_RIGHTS;
  part->cmsg_len = CMSG_LEN(sizeof(int));
  __builtin_memcpy(CMSG_DATA(part), &fd, sizeof fd);
  require(child, call(SYS_sendmsg, child.plan.sync_fd, &header, MSG_NOSIGNAL), step);
}

void wait_for_parent(const Child& child, char expected, InitStep step) {
  char byte = 0;
  long count = 0;
  do {
    count = call(SYS_read, child.plan.sync_fd, &byte, 1);
  } while (count == -EINTR);
  if (count != 1 || byte != expected) fail(child, step, count < 0 ? -count : ECANCELED);
}

std::size_t length(const char* text) {
  std::size_t count = 0;
  while (text[count] != '\0') ++count;
  return count;
}

bool starts_with(const char* text, const char* prefix, std::size_t count) {
  for (std::size_t index = 0; index < count; ++index) {
    if (text[index] != prefix[index]) return false;
  }
  return true;
}

const char* fd_path(int fd, char* buffer) {
  static constexpr char kPrefix[] = "/proc/self/fd/";
  __builtin_memcpy(buffer, kPrefix, sizeof kPrefix - 1);
  char digits[12];
  std::size_t count = 0;
  for (unsigned rest = static_cast<unsigned>(fd); count == 0 || rest > 0; rest /= 10) {
    digits[count++] = static_cast<char>('0' + rest % 10);
  }
  char* out = buffer + sizeof kPrefix - 1;
  while (count > 0) *out++ = digits[--count];
  *out = '\0';
  return buffer;
}

long write_file(const PlannedWrite& file) {
  const long fd = call(SYS_openat, AT_FDCWD, file.path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return fd;
  const long written = call(SYS_write, fd, file.text, file.size);
  call(SYS_close, fd);
  if (written < 0) return written;
  return static_cast<std::size_t>(written) == file.size ? 0 : -EIO;
}

namespace {

/// Moves the three streams to 0, 1, 2, whatever numbers they have and however these overlap.
void place_streams(const Child& child) {
  const int* streams = child.plan.stdio;
  if (streams[0] == 0 && streams[1] == 1 && streams[2] == 2) return;
  long copies[3];
  for (std::size_t index = 0; index < 3; ++index) {
    copies[index] = call(SYS_fcntl, streams[index], F_DUPFD_CLOEXEC, child.plan.first_closed_fd);
    require(child, copies[index], InitStep::Descriptors, index);
  }
  for (std::size_t index = 0; index < 3; ++index) {
    require(child, call(SYS_dup3, copies[index], index, 0), InitStep::Descriptors, index);
    call(SYS_close, copies[index]);
  }
}

/// Closes everything that is not in the plan, by ranges between the kept ones.
void close_others(const Child& child) {
  unsigned next = static_cast<unsigned>(child.plan.first_closed_fd);
  for (const int kept : child.plan.kept_fds) {
    const unsigned current = static_cast<unsigned>(kept);
    if (current < next) continue;
    if (current > next) call(SYS_close_range, next, current - 1, 0);
    next = current + 1;
  }
  require(child, call(SYS_close_range, next, ~0u, 0), InitStep::Descriptors);
}

/// What a shell or a service manager may have left: handlers set to ignore, a mask, a nice value.
void reset_inherited_state() {
  struct KernelSigaction {
    void* handler;
    unsigned long flags;
    void* restorer;
    unsigned long mask;
  };
  const KernelSigaction by_default{};
  for (int signal = 1; signal <= 64; ++signal) {
    if (signal != SIGKILL && signal != SIGSTOP) call(SYS_rt_sigaction, signal, &by_default, nullptr, sizeof(long));
  }
  const unsigned long no_signals = 0;
  call(SYS_rt_sigprocmask, SIG_SETMASK, &no_signals, nullptr, sizeof no_signals);
  call(SYS_umask, 0);
}

/// Writing "0" moves the calling thread, and the kernel need not stop other threads for it.
void join_cgroups(const Child& child) {
  const PlannedList<int>& files = child.plan.cgroup_files;
  for (std::size_t index = 0; index < files.size; ++index) {
    require(child, call(SYS_write, files.data[index], "0", 1), InitStep::JoinCgroup, index);
    call(SYS_close, files.data[index]);
  }
}

void join_namespaces(const Child& child) {
  const InitPlan& plan = child.plan;
  if (plan.target_pidfd >= 0) {
    require(child, call(SYS_setns, plan.target_pidfd, plan.target_namespaces), InitStep::JoinNamespace);
  }
  for (std::size_t index = 0; index < plan.joined_namespaces.size; ++index) {
    const PlannedNamespace& joined = plan.joined_namespaces.data[index];
    require(child, call(SYS_setns, joined.fd, joined.type), InitStep::JoinNamespace, index);
  }
}

void bring_up_loopback(const Child& child) {
  const long socket = call(SYS_socket, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  require(child, socket, InitStep::Loopback);
  ifreq request{};
  request.ifr_name[0] = 'l';
  request.ifr_name[1] = 'o';
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  require(child, call(SYS_ioctl, socket, SIOCSIFFLAGS, &request), InitStep::Loopback);
  call(SYS_close, socket);
}

/// The offsets can only be written while nobody is in the namespace, so it is unshared, configured, and then joined
/// through its link: kernels before 6.2 do not switch at execve.
void make_time_namespace(const Child& child) {
  require(child, call(SYS_unshare, CLONE_NEWTIME), InitStep::TimeOffsets);
  if (child.plan.time_offsets.size > 0) require(child, write_file(child.plan.time_offsets), InitStep::TimeOffsets);
  const long link = call(SYS_openat, AT_FDCWD, "/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
  require(child, link, InitStep::TimeOffsets);
  require(child, call(SYS_setns, link, CLONE_NEWTIME), InitStep::TimeOffsets);
  call(SYS_close, link);
}

/// Whether processes that are not ours may already be where we go.
bool is_joining(const InitPlan& plan) {
  return plan.target_pidfd >= 0 || plan.forks_after_join;
}

void become_root(const Child& child) {
  if (child.plan.may_set_groups) {
    const long result = call(SYS_setgroups, 0, nullptr);
    if (result < 0 && result != -EPERM) fail(child, InitStep::BecomeRoot, -result);
  }
  require(child, call(SYS_setresgid, 0, 0, 0), InitStep::BecomeRoot);
  require(child, call(SYS_setresuid, 0, 0, 0), InitStep::BecomeRoot);
  // Changing ids made the process undumpable, so that its files in /proc belong to a root that is not ours.
  if (!is_joining(child.plan)) call(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0);
}

void set_up_namespaces(Child& child) {
  const InitPlan& plan = child.plan;
  if (plan.waits_for_parent) {
    InitMessage message{};
    message.type = InitMessageType::NamespacesReady;
    message.value = call(SYS_getpid);
    send_message(child, message);
    wait_for_parent(child, kParentGo, InitStep::WaitForParent);
  }
  if (plan.becomes_root) become_root(child);
  if (plan.makes_cgroup_namespace) require(child, call(SYS_unshare, CLONE_NEWCGROUP), InitStep::MakeNamespace);
  if (plan.makes_time_namespace) make_time_namespace(child);
  if (plan.hostname != nullptr) {
    require(child, call(SYS_sethostname, plan.hostname, length(plan.hostname)), InitStep::Hostname);
  }
  if (plan.domainname != nullptr) {
    require(child, call(SYS_setdomainname, plan.domainname, length(plan.domainname)), InitStep::Domainname);
  }
  if (plan.brings_up_loopback) bring_up_loopback(child);
  for (std::size_t index = 0; index < plan.sysctls.size; ++index) {
    require(child, write_file(plan.sysctls.data[index]), InitStep::Sysctl, index);
  }
}

long clone_process(unsigned long long flags, int* pidfd, int cgroup_fd) {
  clone_args arguments{};
  arguments.flags = flags;
  if (pidfd != nullptr) {
    arguments.flags |= CLONE_PIDFD;
    arguments.pidfd = reinterpret_cast<std::uint64_t>(pidfd);
  }
  if (cgroup_fd >= 0) {
    arguments.flags |= CLONE_INTO_CGROUP;
    arguments.cgroup = static_cast<std::uint64_t>(cgroup_fd);
  }
  if ((flags & CLONE_PARENT) == 0) arguments.exit_signal = SIGCHLD;
  return call(SYS_clone3, &arguments, sizeof arguments);
}

/// A joined pid namespace holds for children only, and one that is owned by a joined user namespace can only be made
/// after joining. So one more process, a child of our parent, goes on; this one says who it is and is gone.
void fork_into_namespaces(const Child& child) {
  const long pid = clone_process(CLONE_PARENT | child.plan.new_namespaces, nullptr, -1);
  if (pid == 0) return;
  require(child, pid, InitStep::Fork);
  InitMessage message{};
  message.type = InitMessageType::Forked;
  message.value = pid;
  send_message(child, message);
  ::_exit(0);
}

void set_initial_affinity(const Child& child) {
  const PlannedList<unsigned long>& mask = child.plan.initial_affinity;
  if (mask.size == 0) return;
  require(child, call(SYS_sched_setaffinity, 0, mask.size * sizeof(unsigned long), mask.data), InitStep::Affinity);
}

[[noreturn]] void run_init(const InitPlan& plan) {
  Child child{plan};
  place_streams(child);
  close_others(child);
  reset_inherited_state();
  // From here on a process of the container could look at us: what we map and hold is not its business.
  if (is_joining(plan)) call(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
  join_cgroups(child);
  set_initial_affinity(child);
  if (plan.oom_score.size > 0) {
    const long result = write_file(plan.oom_score);
    if (result < 0 && !plan.oom_score_is_optional) fail(child, InitStep::OomScore, -result);
  }
  // Labels take effect at execve, and are inherited by the fork below.
  if (plan.security_label.size > 0) require(child, write_file(plan.security_label), InitStep::SecurityLabel);
  join_namespaces(child);
  if (plan.target_root >= 0) {
    require(child, call(SYS_fchdir, plan.target_root), InitStep::PivotRoot);
    require(child, call(SYS_chroot, "."), InitStep::PivotRoot);
  }
  for (std::size_t index = 0; index < plan.joined_sysctls.size; ++index) {
    require(child, write_file(plan.joined_sysctls.data[index]), InitStep::JoinedSysctl, index);
  }
  if (plan.forks_after_join) fork_into_namespaces(child);
  call(SYS_setsid);
  set_up_namespaces(child);
  if (plan.root_path != nullptr || plan.root_mount >= 0) {
    enter_root(child, set_up_root(child));
  } else if (plan.has_terminal) {
    const long root = call(SYS_openat, AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    require(child, root, InitStep::Terminal);
    open_terminal(child, static_cast<int>(root));
  }
  run_process(child);
}

}  // namespace

}  // namespace ctr::init

namespace ctr {

pid_t clone_init(const InitPlan& plan, int cgroup_fd, int* pidfd) noexcept {
  // A process that joins first makes its new namespaces after that, in fork_into_namespaces.
  const unsigned long long namespaces = plan.forks_after_join ? 0 : plan.new_namespaces;
  const long pid = init::clone_process(CLONE_CLEAR_SIGHAND | namespaces, pidfd, cgroup_fd);
  if (pid == 0) init::run_init(plan);
  return static_cast<pid_t>(pid);
}

}  // namespace ctr
