// The process of a plan: command, environment, identity, limits, scheduling, labels, filter.
#include <algorithm>
#include <array>
#include <fcntl.h>
#include <limits>
#include <linux/ioprio.h>
#include <linux/mempolicy.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/personality.h>
#include <sys/resource.h>

#include "base/error.h"
#include "base/text.h"
#include "base/user_namespace.h"
#include "runtime/capabilities.h"
#include "runtime/plan_start.h"
#include "runtime/spec_defaults.h"

namespace ctr {

namespace {

template <typename Value>
struct Named {
  std::string_view name;
  Value value;
};

template <typename Value, std::size_t Size>
Value lookup(const std::array<Named<Value>, Size>& table, std::string_view name, std::string_view what) {
  for (const auto& one : table) {
    if (one.name == name) return one.value;
  }
  throw Error(ErrorKind::Invalid, "no " + std::string(what) + " " + json_quote(name));
}

constexpr std::array kRlimits = {
    Named<int>{"RLIMIT_AS", RLIMIT_AS},
    Named<int>{"RLIMIT_CORE", RLIMIT_CORE},
    Named<int>{"RLIMIT_CPU", RLIMIT_CPU},
    Named<int>{"RLIMIT_DATA", RLIMIT_DATA},
    Named<int>{"RLIMIT_FSIZE", RLIMIT_FSIZE},
    Named<int>{"RLIMIT_LOCKS", RLIMIT_LOCKS},
    Named<int>{"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK},
    Named<int>{"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE},
    Named<int>{"RLIMIT_NICE", RLIMIT_NICE},
    Named<int>{"RLIMIT_NOFILE", RLIMIT_NOFILE},
    Named<int>{"RLIMIT_NPROC", RLIMIT_NPROC},
    Named<int>{"RLIMIT_RSS", RLIMIT_RSS},
    Named<int>{"RLIMIT_RTPRIO", RLIMIT_RTPRIO},
    Named<int>{"RLIMIT_RTTIME", RLIMIT_RTTIME},
    Named<int>{"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
    Named<int>{"RLIMIT_STACK", RLIMIT_STACK},
};

constexpr std::array kPolicies = {
    Named<std::uint32_t>{"SCHED_OTHER", SCHED_OTHER},
    Named<std::uint32_t>{"SCHED_FIFO", SCHED_FIFO},
    Named<std::uint32_t>{"SCHED_RR", SCHED_RR},
    Named<std::uint32_t>{"SCHED_BATCH", SCHED_BATCH},
    Named<std::uint32_t>{"SCHED_ISO", 4},
    Named<std::uint32_t>{"SCHED_IDLE", SCHED_IDLE},
    Named<std::uint32_t>{"SCHED_DEADLINE", 6},
};

constexpr std::array kSchedulerFlags = {
    Named<std::uint64_t>{"SCHED_FLAG_RESET_ON_FORK", 0x01},  Named<std::uint64_t>{"SCHED_FLAG_RECLAIM", 0x02},
    Named<std::uint64_t>{"SCHED_FLAG_DL_OVERRUN", 0x04},     Named<std::uint64_t>{"SCHED_FLAG_KEEP_POLICY", 0x08},
    Named<std::uint64_t>{"SCHED_FLAG_KEEP_PARAMS", 0x10},    Named<std::uint64_t>{"SCHED_FLAG_UTIL_CLAMP_MIN", 0x20},
    Named<std::uint64_t>{"SCHED_FLAG_UTIL_CLAMP_MAX", 0x40},
};

constexpr std::array kIoClasses = {
    Named<int>{"IOPRIO_CLASS_RT", IOPRIO_CLASS_RT},
    Named<int>{"IOPRIO_CLASS_BE", IOPRIO_CLASS_BE},
    Named<int>{"IOPRIO_CLASS_IDLE", IOPRIO_CLASS_IDLE},
};

constexpr std::array kMemoryModes = {
    Named<int>{"MPOL_DEFAULT", MPOL_DEFAULT},       Named<int>{"MPOL_BIND", MPOL_BIND},
    Named<int>{"MPOL_INTERLEAVE", MPOL_INTERLEAVE}, Named<int>{"MPOL_WEIGHTED_INTERLEAVE", 6},
    Named<int>{"MPOL_PREFERRED", MPOL_PREFERRED},   Named<int>{"MPOL_PREFERRED_MANY", 5},
    Named<int>{"MPOL_LOCAL", MPOL_LOCAL},
};

constexpr std::array kMemoryFlags = {
    Named<int>{"MPOL_F_NUMA_BALANCING", 1 << 13},
    Named<int>{"MPOL_F_RELATIVE_NODES", 1 << 14},
    Named<int>{"MPOL_F_STATIC_NODES", 1 << 15},
};

constexpr std::array kSeccompFlags = {
    Named<unsigned>{"SECCOMP_FILTER_FLAG_TSYNC", SECCOMP_FILTER_FLAG_TSYNC},
    Named<unsigned>{"SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG},
    Named<unsigned>{"SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW},
    Named<unsigned>{"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", 1u << 5},
};

/// A list like "0-3,7" as words of bits.
std::vector<unsigned long> parse_bit_list(std::string_view text, std::string_view what) {
  constexpr std::size_t kBits = sizeof(unsigned long) * 8;
  constexpr std::uint64_t kMaxBit = 8191;
  std::vector<unsigned long> words;
  for (const std::string& part : split(text, ',')) {
    const std::string_view range = trim(part);
    if (range.empty()) continue;
    const auto ends = cut(range, '-');
    const auto first = parse_uint(trim(ends ? ends->first : std::string(range)));
    const auto last = ends ? parse_uint(trim(ends->second)) : first;
    if (!first || !last || *last > kMaxBit || *first > *last) {
      throw Error(ErrorKind::Invalid, std::string(what) + ": no list of numbers: " + json_quote(text));
    }
    for (std::uint64_t bit = *first; bit <= *last; ++bit) {
      if (bit / kBits >= words.size()) words.resize(bit / kBits + 1);
      words[bit / kBits] |= 1ul << (bit % kBits);
    }
  }
  return words;
}

std::string find_variable(const std::vector<std::string>& env, std::string_view name) {
  const std::string prefix = std::string(name) + "=";
  for (auto variable = env.rbegin(); variable != env.rend(); ++variable) {
    if (variable->starts_with(prefix)) return variable->substr(prefix.size());
  }
  return {};
}

bool has_variable(const std::vector<std::string>& env, std::string_view name) {
  const std::string prefix = std::string(name) + "=";
  return std::any_of(env.begin(), env.end(), [&](const std::string& one) { return one.starts_with(prefix); });
}

void plan_command(PlannedInit& init, const ProcessSpec& process, const ProcessContext& context) {
  if (process.args.empty() || process.args[0].empty())
    throw Error(ErrorKind::Invalid, "there is no command to execute");
  std::vector<std::string> env = process.env;
  if (!has_variable(env, "HOME") && !context.home.empty()) env.push_back("HOME=" + context.home);
  std::vector<const char*> candidates;
  const std::string& command = process.args[0];
  if (command.find('/') != std::string::npos) {
    candidates.push_back(init.arena.text(command));
  } else {
    const std::string path = has_variable(env, "PATH") ? find_variable(env, "PATH") : std::string(kDefaultPath);
    for (const std::string& directory : split(path, ':')) {
      candidates.push_back(init.arena.text((directory.empty() ? "." : directory) + "/" + command));
    }
  }
  init.plan.candidates = init.arena.list(candidates);
  init.plan.argv = init.arena.texts(process.args);
  init.plan.envp = init.arena.texts(env);
  init.plan.cwd = init.arena.text(process.cwd);
}

PlannedRlimit plan_rlimit(const RlimitSpec& spec, RlimitPolicy policy) {
  PlannedRlimit limit{lookup(kRlimits, spec.type, "resource limit"), spec.soft, spec.hard};
  if (policy == RlimitPolicy::Exact) return limit;
  rlimit own{};
  check(::getrlimit(static_cast<__rlimit_resource_t>(limit.resource), &own), "read the limit", spec.type);
  limit.hard = std::min(limit.hard, static_cast<std::uint64_t>(own.rlim_max));
  limit.soft = std::min(limit.soft, limit.hard);
  return limit;
}

void plan_limits(PlannedInit& init, const ProcessSpec& process, const ProcessContext& context) {
  std::vector<PlannedRlimit> limits;
  // With CAP_SYS_RESOURCE any limit can be had.
  const bool can_raise = is_in_first_user_namespace() && (own_bounding_set() >> *capability_number("SYS_RESOURCE") & 1) != 0 && ::geteuid() == 0;
  for (const RlimitSpec& spec : process.rlimits) {
    if (spec.soft > spec.hard) throw Error(ErrorKind::Invalid, spec.type + ": the soft limit is above the hard one");
    limits.push_back(plan_rlimit(spec, can_raise ? RlimitPolicy::Exact : context.rlimits));
  }
  init.plan.rlimits = init.arena.list(limits);
  if (process.oom_score_adj) {
    init.plan.oom_score = init.arena.write("/proc/self/oom_score_adj", std::to_string(*process.oom_score_adj));
    init.plan.oom_score_is_optional = context.rlimits == RlimitPolicy::ClampToOwn;
  }
}

void plan_scheduling(PlannedInit& init, const ProcessSpec& process) {
  if (process.scheduler) {
    const SchedulerSpec& spec = *process.scheduler;
    PlannedScheduler& planned = init.plan.scheduler;
    planned = {sizeof planned,
               lookup(kPolicies, spec.policy, "scheduling policy"),
               0,
               spec.nice,
               static_cast<std::uint32_t>(spec.priority),
               spec.runtime,
               spec.deadline,
               spec.period};
    for (const std::string& flag : spec.flags) planned.flags |= lookup(kSchedulerFlags, flag, "scheduler flag");
    init.plan.has_scheduler = true;
  }
  if (process.io_priority) {
    const int priority = process.io_priority->priority;
    if (priority < 0 || priority > 7) throw Error(ErrorKind::Invalid, "process.ioPriority.priority is not from 0 to 7");
    const int io_class = lookup(kIoClasses, process.io_priority->io_class, "i/o class");
    init.plan.io_priority = io_class << IOPRIO_CLASS_SHIFT | priority;
  }
  init.plan.initial_affinity =
      init.arena.list(parse_bit_list(process.cpu_affinity_initial, "process.execCPUAffinity.initial"));
  init.plan.affinity = init.arena.list(parse_bit_list(process.cpu_affinity_final, "process.execCPUAffinity.final"));
}

/// What cannot be granted is left out: the specification wants no failure for it.
void plan_capabilities(PlannedInit& init, const ProcessSpec& process, const ProcessContext& context) {
  const CapabilitySets sets = process.capabilities.value_or(CapabilitySets{});
  const std::uint64_t available = context.has_user_namespace ? all_capabilities() : own_bounding_set();
  PlannedCapabilities& planned = init.plan.capabilities;
  planned.bounding = sets.bounding & available;
  planned.permitted = sets.permitted & available;
  planned.effective = sets.effective & planned.permitted;
  planned.inheritable = sets.inheritable & available;
  planned.ambient = sets.ambient & planned.permitted & planned.inheritable;
}

void plan_label(PlannedInit& init, const ProcessSpec& process) {
  if (!process.apparmor_profile.empty() && process.apparmor_profile != "unconfined") {
    const auto enabled = find_file("/sys/module/apparmor/parameters/enabled", 16);
    if (!enabled || !enabled->starts_with('Y')) {
      throw Error(ErrorKind::Unavailable, "AppArmor profile " + json_quote(process.apparmor_profile) +
                                              " asked for, but this kernel has no AppArmor");
    }
    const bool has_own = path_exists("/proc/self/attr/apparmor/exec");
    init.plan.security_label = init.arena.write(has_own ? "/proc/self/attr/apparmor/exec" : "/proc/self/attr/exec",
                                                "exec " + process.apparmor_profile);
  }
  if (!process.selinux_label.empty()) {
    if (!path_exists("/sys/fs/selinux/enforce")) {
      throw Error(ErrorKind::Unavailable,
                  "SELinux label " + json_quote(process.selinux_label) + " asked for, but SELinux is not enabled");
    }
    init.plan.security_label = init.arena.write("/proc/self/attr/exec", process.selinux_label);
  }
}

void plan_filter(PlannedInit& init, const ProcessContext& context) {
  if (context.seccomp_filter.empty()) return;
  if (context.seccomp_filter.size() % 8 != 0 || context.seccomp_filter.size() / 8 > 65535) {
    throw Error(ErrorKind::Corrupt, "the compiled seccomp filter has a bad size");
  }
  init.plan.seccomp_filter = init.arena.text(context.seccomp_filter);
  init.plan.seccomp_filter_size = context.seccomp_filter.size();
  if (context.seccomp == nullptr || context.seccomp->flags.empty()) {
    init.plan.seccomp_flags = SECCOMP_FILTER_FLAG_SPEC_ALLOW;
  } else {
    for (const std::string& flag : context.seccomp->flags) {
      init.plan.seccomp_flags |= lookup(kSeccompFlags, flag, "seccomp flag");
    }
  }
  init.plan.has_seccomp_listener = context.seccomp != nullptr && !context.seccomp->listener_path.empty();
  // Threads that could be synchronised don't exist, and the kernel refuses both flags together.
  if (init.plan.has_seccomp_listener) init.plan.seccomp_flags &= ~static_cast<unsigned>(SECCOMP_FILTER_FLAG_TSYNC);
}

/// A user namespace that the process does not make itself may lack the user that was asked for.
void check_user(const ProcessSpec& process, const ProcessContext& context) {
  const UserSpec& user = process.user;
  if (context.has_user_namespace || (is_mapped_user(user.uid) && is_mapped_group(user.gid))) return;
  throw Error(ErrorKind::Denied,
              "user " + std::to_string(user.uid) + ":" + std::to_string(user.gid) +
                  " is not among the ids of this user namespace: /etc/subuid and /etc/subgid give it more; as root: "
                  "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 <user> (and the package uidmap)");
}

}  // namespace

void plan_process(PlannedInit& init, const ProcessSpec& process, const ProcessContext& context) {
  InitPlan& plan = init.plan;
  check_user(process, context);
  plan_command(init, process, context);
  plan_limits(init, process, context);
  plan_scheduling(init, process);
  plan_capabilities(init, process, context);
  plan_label(init, process);
  plan_filter(init, context);
  plan.uid = process.user.uid;
  plan.gid = process.user.gid;
  plan.groups = init.arena.list(process.user.additional_gids);
  if (process.user.umask) plan.umask = static_cast<mode_t>(*process.user.umask);
  plan.no_new_privileges = process.no_new_privileges;
  plan.parent_death_signal = context.parent_death_signal;
  if (context.use_new_keyring) plan.keyring_name = init.arena.text("_ses." + context.id);
  plan.has_terminal = process.terminal;
  if (process.console_size) {
    plan.terminal_rows = process.console_size->height;
    plan.terminal_columns = process.console_size->width;
  }
}

void plan_personality(PlannedInit& init, const LinuxSpec& spec) {
  if (spec.personality) {
    if (!spec.personality->flags.empty()) {
      throw Error(ErrorKind::Unavailable, "linux.personality.flags: no flag is supported");
    }
    constexpr std::array kDomains = {Named<unsigned long>{"LINUX", PER_LINUX},
                                     Named<unsigned long>{"LINUX32", PER_LINUX32}};
    init.plan.has_personality = true;
    init.plan.personality = lookup(kDomains, spec.personality->domain, "personality");
  }
  if (spec.memory_policy) {
    init.plan.has_memory_policy = true;
    init.plan.memory_policy = lookup(kMemoryModes, spec.memory_policy->mode, "memory policy");
    for (const std::string& flag : spec.memory_policy->flags) {
      init.plan.memory_policy |= lookup(kMemoryFlags, flag, "memory policy flag");
    }
    init.plan.memory_nodes = init.arena.list(parse_bit_list(spec.memory_policy->nodes, "linux.memoryPolicy.nodes"));
  }
}

void plan_streams(PlannedInit& init, const Stdio& stdio, int preserved_fds) {
  init.plan.stdio[0] = stdio.in;
  init.plan.stdio[1] = stdio.out;
  init.plan.stdio[2] = stdio.err;
  init.plan.first_closed_fd = 3 + preserved_fds;
}

}  // namespace ctr
