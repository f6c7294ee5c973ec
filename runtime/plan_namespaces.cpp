// The namespaces of a plan: which are made by clone3, which are joined, and what is set in them.
#include <array>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "runtime/plan_start.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

namespace ctr {

namespace {

struct NamespaceKind {
  int flag;
  const char* file;
};

/// In the order of NamespaceType.
constexpr std::array kKinds = {
    NamespaceKind{CLONE_NEWPID, "pid"},       NamespaceKind{CLONE_NEWNET, "net"},
    NamespaceKind{CLONE_NEWNS, "mnt"},        NamespaceKind{CLONE_NEWIPC, "ipc"},
    NamespaceKind{CLONE_NEWUTS, "uts"},       NamespaceKind{CLONE_NEWUSER, "user"},
    NamespaceKind{CLONE_NEWCGROUP, "cgroup"}, NamespaceKind{CLONE_NEWTIME, "time"},
};

const NamespaceKind& kind_of(NamespaceType type) {
  return kKinds[static_cast<std::size_t>(type)];
}

bool is_own_namespace(int fd, NamespaceType type) {
  struct stat theirs {};
  struct stat ours {};
  check(::fstat(fd, &theirs), "read a namespace");
  const std::string own = "/proc/self/ns/" + std::string(kind_of(type).file);
  return ::stat(own.c_str(), &ours) == 0 && theirs.st_ino == ours.st_ino && theirs.st_dev == ours.st_dev;
}

/// Whether this process may enter namespaces that its own user namespace owns.
bool has_own_rights() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (::syscall(SYS_capget, &header, data) != 0) return false;
  return (data[0].effective & (1U << CAP_SYS_ADMIN)) != 0;
}

void plan_join_of(PlannedInit& init, const NamespaceSpec& spec, std::vector<PlannedNamespace>& joined) {
  const int fd = init.arena.hold(open_file(spec.path, O_RDONLY));
  // Joining the user namespace that one is in is an error for the kernel.
  if (is_own_namespace(fd, spec.type)) return;
  const PlannedNamespace planned{fd, kind_of(spec.type).flag};
  if (spec.type == NamespaceType::User) {
    // Without rights of one's own it comes first, because it gives those for all others. With them it comes last: a
    // network made outside of it can't be entered from inside.
    joined.insert(has_own_rights() ? joined.end() : joined.begin(), planned);
    init.plan.becomes_root = true;
  } else {
    const bool is_after_user = !joined.empty() && joined.back().type == kind_of(NamespaceType::User).flag && has_own_rights();
    joined.insert(is_after_user ? joined.end() - 1 : joined.end(), planned);
  }
  if (spec.type == NamespaceType::User || spec.type == NamespaceType::Pid) init.plan.forks_after_join = true;
}

bool maps_root(const std::vector<IdMapping>& mappings) {
  return std::any_of(mappings.begin(), mappings.end(), [](const IdMapping& one) { return one.container_id == 0; });
}

void plan_new(PlannedInit& init, const Spec& spec, NamespaceType type) {
  InitPlan& plan = init.plan;
  if (type == NamespaceType::Cgroup) {
    plan.makes_cgroup_namespace = true;
  } else if (type == NamespaceType::Time) {
    // Linux 5.6; an old or small kernel may lack it, and nobody misses it unless offsets are asked for.
    plan.makes_time_namespace = path_exists("/proc/self/ns/time");
  } else {
    plan.new_namespaces |= static_cast<unsigned>(kind_of(type).flag);
  }
  if (type == NamespaceType::Network) plan.brings_up_loopback = true;
  if (type == NamespaceType::User) {
    // The user alone may be in there: who made the namespace has all rights in it as well.
    plan.becomes_root = maps_root(spec.linux.uid_mappings) && maps_root(spec.linux.gid_mappings);
    plan.waits_for_parent = true;
  }
}

bool is_ipc_sysctl(std::string_view key) {
  static constexpr std::array<std::string_view, 8> kIpc = {"kernel.msgmax", "kernel.msgmnb",         "kernel.msgmni",
                                                           "kernel.sem",    "kernel.shmall",         "kernel.shmmax",
                                                           "kernel.shmmni", "kernel.shm_rmid_forced"};
  return std::find(kIpc.begin(), kIpc.end(), key) != kIpc.end() || key.starts_with("fs.mqueue.");
}

/// Only what belongs to a namespace of the container may be set; everything else is the host's.
void check_sysctl(const Spec& spec, const std::string& key) {
  const auto needs = [&](NamespaceType type) {
    const NamespaceSpec* found = find_namespace(spec, type);
    if (found == nullptr) {
      throw Error(ErrorKind::Invalid, "linux.sysctl: " + json_quote(key) + " needs a " +
                                          std::string(namespace_name(type)) + " namespace of the container's own");
    }
  };
  std::string dotted = key;
  std::replace(dotted.begin(), dotted.end(), '/', '.');
  if (is_ipc_sysctl(dotted)) return needs(NamespaceType::Ipc);
  if (dotted.starts_with("net.")) return needs(NamespaceType::Network);
  if (dotted == "kernel.domainname" || dotted == "kernel.hostname") return needs(NamespaceType::Uts);
  throw Error(ErrorKind::Invalid,
              "linux.sysctl: " + json_quote(key) + " belongs to no namespace, it would change the host");
}

/// "net.ipv4.conf.all.forwarding", or with "/" between the parts where a part itself holds a dot.
std::string sysctl_path(const std::string& key) {
  std::string path = key;
  const std::size_t separator = key.find_first_of("./");
  if (separator != std::string::npos && key[separator] == '.') {
    for (char& c : path) c = c == '.' ? '/' : c == '/' ? '.' : c;
  }
  for (const std::string& part : split(path, '/')) {
    if (part.empty() || part == "." || part == "..")
      throw Error(ErrorKind::Invalid, "linux.sysctl: bad name " + json_quote(key));
  }
  return "/proc/sys/" + path;
}

}  // namespace

void plan_namespaces(PlannedInit& init, const Spec& spec) {
  std::vector<PlannedNamespace> joined;
  for (const NamespaceSpec& one : spec.linux.namespaces) {
    if (one.path.empty()) {
      plan_new(init, spec, one.type);
    } else {
      plan_join_of(init, one, joined);
    }
  }
  init.plan.joined_namespaces = init.arena.list(joined);
  // What a new user namespace's root could not enter any more is joined before that is made.
  const bool makes_user_last = (init.plan.new_namespaces & CLONE_NEWUSER) != 0 && !joined.empty();
  if (makes_user_last) init.plan.forks_after_join = true;
  if (find_namespace(spec, NamespaceType::User) != nullptr && spec.linux.uid_mappings.empty() &&
      (init.plan.new_namespaces & CLONE_NEWUSER) != 0) {
    throw Error(ErrorKind::Invalid, "linux.uidMappings is empty, but there is a new user namespace");
  }
  if (!spec.hostname.empty()) init.plan.hostname = init.arena.text(spec.hostname);
  if (!spec.domainname.empty()) init.plan.domainname = init.arena.text(spec.domainname);
  std::string offsets;
  for (const auto& [clock, offset] : spec.linux.time_offsets) {
    offsets += clock + " " + std::to_string(offset.seconds) + " " + std::to_string(offset.nanoseconds) + "\n";
  }
  if (!offsets.empty()) init.plan.time_offsets = init.arena.write("/proc/self/timens_offsets", offsets);
  const bool joins_network = std::any_of(joined.begin(), joined.end(),
                                         [](const PlannedNamespace& one) { return one.type == CLONE_NEWNET; });
  std::vector<PlannedWrite> joined_sysctls;
  std::vector<PlannedWrite> sysctls;
  for (const auto& [key, value] : spec.linux.sysctl) {
    check_sysctl(spec, key);
    const bool is_early = makes_user_last && joins_network && (key.starts_with("net.") || key.starts_with("net/"));
    (is_early ? joined_sysctls : sysctls).push_back(init.arena.write(sysctl_path(key), value));
  }
  init.plan.joined_sysctls = init.arena.list(joined_sysctls);
  init.plan.sysctls = init.arena.list(sysctls);
}

}  // namespace ctr
