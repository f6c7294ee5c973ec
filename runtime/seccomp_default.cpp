// Docker's default profile, as a table of groups and the conditions under which each applies. Everything that no group
// allows answers EPERM. The names are those of all architectures; what one does not have is skipped when compiling.
#include <algorithm>
#include <array>
#include <linux/capability.h>
#include <sys/utsname.h>

#include "base/text.h"
#include "runtime/seccomp.h"
#include "runtime/seccomp_arch.h"

namespace ctr {

namespace {

/// Allowed always.
constexpr std::string_view kAlways =
    "_llseek _newselect accept accept4 access adjtimex alarm bind brk cachestat capget capset chdir chmod "
    "chown chown32 clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime "
    "clock_gettime64 clock_nanosleep clock_nanosleep_time64 close close_range connect copy_file_range "
    "creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 "
    "epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit exit_group faccessat faccessat2 "
    "fadvise64 fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32 "
    "fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat "
    "fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_requeue futex_time64 "
    "futex_wait futex_waitv futex_wake futimesat get_robust_list get_thread_area getcpu getcwd getdents "
    "getdents64 getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getitimer "
    "getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid getresgid32 getresuid "
    "getresuid32 getrlimit getrusage getsid getsockname getsockopt gettid gettimeofday getuid getuid32 "
    "getxattr getxattrat inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel "
    "io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit ioctl ioprio_get "
    "ioprio_set ipc kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lchown32 "
    "lgetxattr link linkat listen listmount listxattr listxattrat llistxattr lremovexattr lseek lsetxattr "
    "lstat lstat64 madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mkdir mkdirat "
    "mknod mknodat mlock mlock2 mlockall mmap mmap2 mprotect mq_getsetattr mq_notify mq_open "
    "mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink mremap mseal "
    "msgctl msgget msgrcv msgsnd msync munlock munlockall munmap name_to_handle_at nanosleep newfstatat "
    "open openat openat2 pause pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect "
    "poll ppoll ppoll_time64 prctl pread64 preadv preadv2 prlimit64 process_mrelease pselect6 "
    "pselect6_time64 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv recv recvfrom "
    "recvmmsg recvmmsg_time64 recvmsg remap_file_pages removexattr removexattrat rename renameat "
    "renameat2 restart_syscall riscv_hwprobe rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask "
    "rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo "
    "sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam "
    "sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity "
    "sched_setattr sched_setparam sched_setscheduler sched_yield seccomp select semctl semget semop "
    "semtimedop semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg sendto set_robust_list "
    "set_thread_area set_tid_address setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups "
    "setgroups32 setitimer setpgid setpriority setregid setregid32 setresgid setresgid32 setresuid "
    "setresuid32 setreuid setreuid32 setrlimit setsid setsockopt setuid setuid32 setxattr setxattrat "
    "shmat shmctl shmdt shmget shutdown sigaltstack signalfd signalfd4 sigprocmask sigreturn socketcall "
    "socketpair splice stat stat64 statfs statfs64 statmount statx symlink symlinkat sync sync_file_range "
    "syncfs sysinfo tee tgkill time timer_create timer_delete timer_getoverrun timer_gettime "
    "timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 "
    "timerfd_settime timerfd_settime64 times tkill truncate truncate64 ugetrlimit umask uname unlink "
    "unlinkat uretprobe utime utimensat utimensat_time64 utimes vfork vmsplice wait4 waitid waitpid write "
    "writev ";

/// Allowed with one capability in the bounding set.
struct CapabilityGroup {
  int capability;
  std::string_view names;
};

constexpr std::array kByCapability = {
    CapabilityGroup{CAP_DAC_READ_SEARCH, "open_by_handle_at"},
    CapabilityGroup{
        CAP_SYS_ADMIN,
        "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr "
        "lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl "
        "quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare"},
    CapabilityGroup{CAP_SYS_BOOT, "reboot"},
    CapabilityGroup{CAP_SYS_CHROOT, "chroot"},
    CapabilityGroup{CAP_SYS_MODULE, "delete_module init_module finit_module"},
    CapabilityGroup{CAP_SYS_PACCT, "acct"},
    CapabilityGroup{CAP_SYS_PTRACE, "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace"},
    CapabilityGroup{CAP_SYS_RAWIO, "iopl ioperm"},
    CapabilityGroup{CAP_SYS_TIME, "settimeofday stime clock_settime clock_settime64"},
    CapabilityGroup{CAP_SYS_TTY_CONFIG, "vhangup"},
    CapabilityGroup{CAP_SYS_NICE, "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"},
    CapabilityGroup{CAP_SYSLOG, "syslog"},
    CapabilityGroup{CAP_BPF, "bpf"},
    CapabilityGroup{CAP_PERFMON, "perf_event_open"},
};

/// Allowed where the machine's own architecture is one of these.
struct ArchitectureGroup {
  std::string_view architectures;
  std::string_view names;
};

constexpr std::array kByArchitecture = {
    ArchitectureGroup{"ppc64le", "sync_file_range2 swapcontext"},
    ArchitectureGroup{"arm arm64",
                      "arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls"},
    ArchitectureGroup{"amd64 x32", "arch_prctl"},
    ArchitectureGroup{"amd64 x32 x86", "modify_ldt"},
    ArchitectureGroup{"s390 s390x", "s390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr"},
    ArchitectureGroup{"riscv64", "riscv_flush_icache"},
};

/// clone's flags for new namespaces of every kind but time.
constexpr std::uint64_t kNewNamespaces = 0x7E020000;
constexpr std::uint32_t kEnosys = 38;

void allow(SeccompSpec& spec, std::string_view names) {
  SeccompRule rule;
  rule.names = split_words(names);
  rule.action = SeccompAction::Allow;
  spec.rules.push_back(std::move(rule));
}

void allow_if(SeccompSpec& spec, const char* name, SeccompArgument argument) {
  SeccompRule rule;
  rule.names = {name};
  rule.action = SeccompAction::Allow;
  rule.arguments = {argument};
  spec.rules.push_back(std::move(rule));
}

/// Before 4.8 a filter did not see what a tracer makes of a system call.
bool is_kernel_at_least_4_8() {
  utsname name{};
  ::uname(&name);
  const std::vector<std::string> parts = split(name.release, '.');
  if (parts.size() < 2) return false;
  const auto major = parse_uint(parts[0]).value_or(0);
  const auto minor = parse_uint(parts[1].substr(0, parts[1].find_first_not_of("0123456789"))).value_or(0);
  return major > 4 || (major == 4 && minor >= 8);
}

void add_argument_rules(SeccompSpec& spec) {
  using enum SeccompOperator;
  // Every address family but AF_ALG (38) and AF_VSOCK (40).
  allow_if(spec, "socket", {0, 38, 0, Less});
  allow_if(spec, "socket", {0, 39, 0, Equal});
  allow_if(spec, "socket", {0, 40, 0, Greater});
  // PER_LINUX, PER_LINUX32, both with UNAME26, and asking.
  for (const std::uint64_t value : {0x0u, 0x8u, 0x20000u, 0x20008u, 0xFFFFFFFFu}) {
    allow_if(spec, "personality", {0, value, 0, Equal});
  }
}

/// Without CAP_SYS_ADMIN, clone makes no namespaces; clone3, whose flags a filter can't see, plays an old kernel.
void restrict_clone(SeccompSpec& spec, std::string_view architecture) {
  const std::uint32_t flags_argument = architecture == "s390" || architecture == "s390x" ? 1 : 0;
  allow_if(spec, "clone", {flags_argument, kNewNamespaces, 0, SeccompOperator::MaskedEqual});
  SeccompRule clone3;
  clone3.names = {"clone3"};
  clone3.action = SeccompAction::Errno;
  clone3.errno_value = kEnosys;
  spec.rules.push_back(std::move(clone3));
}

}  // namespace

SeccompSpec default_seccomp(std::uint64_t bounding_capabilities) {
  const SeccompHost host = seccomp_host();
  SeccompSpec spec;
  spec.default_action = SeccompAction::Errno;
  spec.default_errno = 1;
  spec.architectures = host.architectures;
  allow(spec, kAlways);
  if (is_kernel_at_least_4_8()) allow(spec, "process_vm_readv process_vm_writev ptrace");
  add_argument_rules(spec);
  for (const ArchitectureGroup& group : kByArchitecture) {
    const std::vector<std::string> names = split_words(group.architectures);
    if (std::find(names.begin(), names.end(), host.name) != names.end()) allow(spec, group.names);
  }
  for (const CapabilityGroup& group : kByCapability) {
    if ((bounding_capabilities >> group.capability & 1) != 0) allow(spec, group.names);
  }
  if ((bounding_capabilities >> CAP_SYS_ADMIN & 1) == 0) restrict_clone(spec, host.name);
  return spec;
}

}  // namespace ctr
