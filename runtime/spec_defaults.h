// Docker's default policy for a container, as parts of an OCI spec: capabilities, mounts, masked and read-only paths,
// devices, sysctls. The seccomp profile is in seccomp_default.h. Values only: nothing is opened or made.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/spec.h"

namespace ctr {

/// The 14 capabilities that a container keeps, as a mask.
std::uint64_t default_capabilities();

/// /proc, /dev, /dev/pts, /sys, /sys/fs/cgroup, /dev/mqueue, /dev/shm in this order.
std::vector<MountSpec> default_mounts(std::int64_t shm_size_bytes = 64 * 1024 * 1024);

/// Includes /sys/devices/system/cpu/cpuN/thermal_throttle for the processors of this machine.
std::vector<std::string> default_masked_paths();
std::vector<std::string> default_readonly_paths();

/// Deny all, then what every container may use. The nodes themselves (null, zero, full, random, urandom, tty, ptmx,
/// console, the links) are made in every container and need not be listed in Spec.
std::vector<DeviceRule> default_device_rules();

/// pid, network, mount, ipc, uts, time, and cgroup where v2 rules.
std::vector<NamespaceSpec> default_namespaces();

/// The variables of PATH that a process without one gets.
inline constexpr std::string_view kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A whole spec with all of the above for `args`, with the default seccomp profile.
Spec default_spec(std::vector<std::string> args);

/// What --privileged changes: all capabilities of the caller, every device of the host, nothing masked or read-only,
/// no seccomp, /sys and cgroups writable.
void make_privileged(Spec& spec);

}  // namespace ctr
