// The systemd cgroup driver (--systemd-cgroup): linux.cgroupsPath is "slice:prefix:name", the container becomes a
// transient scope of systemd's, and its group is the one that systemd gives that scope.
#pragma once

#include <string>
#include <string_view>
#include <sys/types.h>

#include "runtime/spec.h"

namespace ctr {

/// The group's path: "/a.slice/a-b.slice/prefix-name.scope". Throws Unavailable where systemd does not run.
std::string systemd_cgroup_path(std::string_view cgroups_path, std::string_view id);

/// "/a.slice/a-b.slice" for "a-b.slice"; "/" for "-.slice".
std::string expand_slice(std::string_view slice);

/// Makes the scope for a process that is in the group already.
void register_with_systemd(const std::string& path, const Spec& spec, pid_t pid);

}  // namespace ctr
