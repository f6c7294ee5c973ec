#include "runtime/join.h"

#include <array>
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/error.h"
#include "base/text.h"
#include "base/user_namespace.h"
#include "runtime/launch.h"
#include "runtime/user_lookup.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

namespace ctr {

namespace {

struct NamespaceFile {
  const char* name;
  int flag;
};

constexpr std::array kNamespaces = {NamespaceFile{"user", CLONE_NEWUSER}, NamespaceFile{"mnt", CLONE_NEWNS},
                                    NamespaceFile{"pid", CLONE_NEWPID},   NamespaceFile{"net", CLONE_NEWNET},
                                    NamespaceFile{"ipc", CLONE_NEWIPC},   NamespaceFile{"uts", CLONE_NEWUTS},
                                    NamespaceFile{"time", CLONE_NEWTIME}, NamespaceFile{"cgroup", CLONE_NEWCGROUP}};

/// The namespaces in which the process differs from us, as flags.
int differing_namespaces(int process_directory) {
  int flags = 0;
  for (const NamespaceFile& one : kNamespaces) {
    struct stat theirs {};
    struct stat ours {};
    const std::string name = std::string("ns/") + one.name;
    if (::fstatat(process_directory, name.c_str(), &theirs, 0) != 0) continue;
    if (::stat(("/proc/self/" + name).c_str(), &ours) != 0) continue;
    if (theirs.st_ino != ours.st_ino || theirs.st_dev != ours.st_dev) flags |= one.flag;
  }
  return flags;
}

Fd open_process_directory(pid_t pid) {
  return open_file("/proc/" + std::to_string(pid), O_PATH | O_DIRECTORY);
}

ProcessSpec resolve(const ProcessSpec& process, const JoinOptions& options, int root, std::string& home) {
  ProcessSpec result = process;
  const UserDatabase database = read_user_database(root);
  if (options.user) {
    const ResolvedUser user = resolve_user(database, options.user->user, options.user->groups);
    result.user.uid = user.uid;
    result.user.gid = user.gid;
    result.user.additional_gids = user.additional_gids;
  }
  home = home_of(database, result.user.uid);
  return result;
}

/// A user namespace may hold one user alone, who is not its root.
bool has_root(int process_directory) {
  const auto maps_zero = [&](const char* name) {
    const auto file = find_at(process_directory, name, O_RDONLY);
    if (!file) return true;
    for (const std::string& line : split(read_fd(file->get(), 64 * 1024, name), '\n')) {
      const std::vector<std::string> words = split_words(line);
      if (!words.empty() && words[0] == "0") return true;
    }
    return false;
  };
  return maps_zero("uid_map") && maps_zero("gid_map");
}

/// Whether the user namespace of the process lets its groups be set ("deny" where an unprivileged user made the map).
bool may_set_groups(int process_directory) {
  const auto file = find_at(process_directory, "setgroups", O_RDONLY);
  return !file || !read_fd(file->get(), 64, "setgroups").starts_with("deny");
}

}  // namespace

Fd open_container_root(pid_t pid) {
  return open_file("/proc/" + std::to_string(pid) + "/root", O_PATH | O_DIRECTORY);
}

void plan_join_namespaces(PlannedInit& init, pid_t pid) {
  InitPlan& plan = init.plan;
  plan.target_pidfd = init.arena.hold(
      Fd(check(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)), "open the container's process", pid)));
  const Fd directory = open_process_directory(pid);
  plan.target_namespaces = differing_namespaces(directory.get());
  plan.target_root = init.arena.hold(open_at(directory.get(), "root", O_PATH | O_DIRECTORY));
  plan.forks_after_join = (plan.target_namespaces & CLONE_NEWPID) != 0;
  if ((plan.target_namespaces & CLONE_NEWUSER) != 0) {
    plan.becomes_root = has_root(directory.get());
    plan.may_set_groups = may_set_groups(directory.get());
  } else {
    plan.may_set_groups = may_call_setgroups();
  }
}

Sandbox exec_in(pid_t pid, const ProcessSpec& process, const Stdio& stdio, const Cgroup* cgroup,
                const JoinOptions& options) {
  auto init = std::make_unique<PlannedInit>();
  plan_join_namespaces(*init, pid);
  plan_streams(*init, stdio, options.preserved_fds);
  std::string home;
  const ProcessSpec resolved = resolve(process, options, init->plan.target_root, home);
  const SeccompSpec seccomp{.default_errno = {},
                            .architectures = {},
                            .flags = options.seccomp_flags,
                            .listener_path = {},
                            .listener_metadata = {},
                            .rules = {}};
  const ProcessContext context{.id = options.id,
                               .seccomp_filter = options.seccomp_filter,
                               .seccomp = &seccomp,
                               .rlimits = options.rlimits,
                               .parent_death_signal = options.parent_death_signal,
                               .use_new_keyring = options.use_new_keyring,
                               .has_user_namespace = (init->plan.target_namespaces & CLONE_NEWUSER) != 0,
                               .home = home};
  plan_process(*init, resolved, context);
  if (!options.program.empty()) {
    const std::vector<const char*> candidates = {init->arena.text(options.program.native())};
    init->plan.candidates = init->arena.list(candidates);
  }
  return Sandbox(launch(std::move(init), cgroup, {}));
}

}  // namespace ctr
