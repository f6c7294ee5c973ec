#include "runtime/spec_defaults.h"

#include <algorithm>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/text.h"
#include "runtime/capabilities.h"
#include "runtime/cgroup.h"
#include "runtime/seccomp.h"

namespace ctr {

namespace {

MountSpec mount(const char* destination, const char* type, const char* source, std::vector<std::string> options) {
  MountSpec spec;
  spec.destination = destination;
  spec.type = type;
  spec.source = source;
  spec.options = std::move(options);
  return spec;
}

DeviceRule allow_character(std::optional<std::int64_t> major, std::optional<std::int64_t> minor) {
  return {.is_allowed = true, .type = 'c', .major = major, .minor = minor, .access = "rwm"};
}

/// Character and block devices below /dev, for --privileged. Terminals of the host's /dev/pts stay out, and what a
/// container has of its own.
void add_host_devices(const fs::path& directory, std::vector<DeviceSpec>& devices) {
  for (const std::string& name : list_directory(directory)) {
    const fs::path path = directory / name;
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) continue;
    if (S_ISDIR(status.st_mode)) {
      if (name != "pts" && name != "shm" && name != "fd" && name != "mqueue") add_host_devices(path, devices);
      continue;
    }
    if ((!S_ISCHR(status.st_mode) && !S_ISBLK(status.st_mode)) || path == "/dev/console") continue;
    DeviceSpec device;
    device.path = path;
    device.type = S_ISBLK(status.st_mode) ? 'b' : 'c';
    device.major = ::major(status.st_rdev);
    device.minor = ::minor(status.st_rdev);
    device.file_mode = status.st_mode & 07777;
    device.uid = status.st_uid;
    device.gid = status.st_gid;
    devices.push_back(std::move(device));
  }
}

}  // namespace

std::uint64_t default_capabilities() {
  return tweak_capabilities(0,
                            {"CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID",
                             "SETFCAP", "SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE"},
                            {});
}

std::vector<MountSpec> default_mounts(std::int64_t shm_size_bytes) {
  return {
      mount("/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}),
      mount("/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}),
      mount("/dev/pts", "devpts", "devpts", {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}),
      mount("/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro"}),
      mount("/sys/fs/cgroup", "cgroup", "cgroup", {"ro", "nosuid", "noexec", "nodev"}),
      mount("/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}),
      mount("/dev/shm", "tmpfs", "shm",
            {"nosuid", "noexec", "nodev", "mode=1777", "size=" + std::to_string(shm_size_bytes)}),
  };
}

std::vector<std::string> default_masked_paths() {
  std::vector<std::string> paths = {"/proc/acpi",
                                    "/proc/asound",
                                    "/proc/interrupts",
                                    "/proc/kcore",
                                    "/proc/keys",
                                    "/proc/latency_stats",
                                    "/proc/sched_debug",
                                    "/proc/scsi",
                                    "/proc/timer_list",
                                    "/proc/timer_stats",
                                    "/sys/devices/virtual/powercap",
                                    "/sys/firmware"};
  const fs::path processors = "/sys/devices/system/cpu";
  for (const std::string& name : list_directory(processors)) {
    if (name.starts_with("cpu") && parse_uint(name.substr(3)) && path_exists(processors / name / "thermal_throttle")) {
      paths.push_back(processors / name / "thermal_throttle");
    }
  }
  return paths;
}

std::vector<std::string> default_readonly_paths() {
  return {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};
}

std::vector<DeviceRule> default_device_rules() {
  // The nodes that everybody may use are added wherever rules are applied (complete_device_rules).
  DeviceRule deny_fuse = allow_character(10, 229);
  deny_fuse.is_allowed = false;
  return {DeviceRule{}, deny_fuse};
}

std::vector<NamespaceSpec> default_namespaces() {
  std::vector<NamespaceSpec> namespaces;
  for (const NamespaceType type : {NamespaceType::Mount, NamespaceType::Network, NamespaceType::Uts, NamespaceType::Pid,
                                   NamespaceType::Ipc, NamespaceType::Time}) {
    namespaces.push_back({type, {}});
  }
  if (cgroup_layout() == CgroupLayout::V2) namespaces.push_back({NamespaceType::Cgroup, {}});
  return namespaces;
}

Spec default_spec(std::vector<std::string> args) {
  Spec spec;
  ProcessSpec process;
  process.args = std::move(args);
  process.env = {"PATH=" + std::string(kDefaultPath)};
  process.capabilities = docker_capability_sets(default_capabilities());
  spec.process = std::move(process);
  spec.root.path = "rootfs";
  spec.mounts = default_mounts();
  spec.linux.namespaces = default_namespaces();
  spec.linux.resources.devices = default_device_rules();
  spec.linux.masked_paths = default_masked_paths();
  spec.linux.readonly_paths = default_readonly_paths();
  spec.linux.seccomp = default_seccomp(default_capabilities());
  return spec;
}

void make_privileged(Spec& spec) {
  if (spec.process) {
    spec.process->capabilities = docker_capability_sets(own_bounding_set());
    spec.process->apparmor_profile.clear();
    spec.process->no_new_privileges = false;
  }
  spec.linux.seccomp.reset();
  spec.linux.masked_paths.clear();
  spec.linux.readonly_paths.clear();
  spec.linux.resources.devices = {
      DeviceRule{.is_allowed = true, .type = 'a', .major = {}, .minor = {}, .access = "rwm"}};
  add_host_devices("/dev", spec.linux.devices);
  for (MountSpec& one : spec.mounts) {
    if (one.type != "sysfs" && one.type != "cgroup") continue;
    std::replace(one.options.begin(), one.options.end(), std::string("ro"), std::string("rw"));
  }
}

}  // namespace ctr
