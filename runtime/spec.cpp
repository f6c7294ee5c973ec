#include "runtime/spec.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/text.h"
#include "runtime/capabilities.h"
#include "runtime/spec_reader.h"

namespace ctr {

namespace {

using namespace spec_reader;

IdMapping parse_mapping(const Json& value) {
  const auto required = [&](std::string_view key) {
    const auto found = number<std::uint32_t>(value, key);
    if (!found) throw Error(ErrorKind::Invalid, std::string(key) + " is missing");
    return *found;
  };
  return {required("containerID"), required("hostID"), required("size")};
}

std::vector<IdMapping> mappings(const Json& object, std::string_view key) {
  return list<IdMapping>(object, key, parse_mapping);
}

UserSpec parse_user(const Json& value) {
  UserSpec user;
  user.uid = number<std::uint32_t>(value, "uid").value_or(0);
  user.gid = number<std::uint32_t>(value, "gid").value_or(0);
  user.umask = number<std::uint32_t>(value, "umask");
  if (user.umask && *user.umask > 0777) throw Error(ErrorKind::Invalid, "umask is out of range");
  user.additional_gids = list<std::uint32_t>(value, "additionalGids", [](const Json& gid) {
    const std::uint64_t id = gid.as_uint();
    if (id > 0xFFFFFFFFu) throw Error(ErrorKind::Invalid, "is out of range");
    return static_cast<std::uint32_t>(id);
  });
  return user;
}

/// Unknown names are dropped, as the specification asks of names that this kernel doesn't map.
std::uint64_t capability_mask(const Json& value, std::string_view key) {
  std::uint64_t mask = 0;
  for (const std::string& name : texts(value, key)) {
    if (const auto number = capability_number(name)) mask |= std::uint64_t{1} << *number;
  }
  return mask;
}

CapabilitySets parse_capabilities(const Json& value) {
  return {capability_mask(value, "bounding"), capability_mask(value, "effective"),
          capability_mask(value, "inheritable"), capability_mask(value, "permitted"),
          capability_mask(value, "ambient")};
}

SchedulerSpec parse_scheduler(const Json& value) {
  SchedulerSpec scheduler;
  scheduler.policy = value.require_string("policy");
  scheduler.nice = number<std::int32_t>(value, "nice").value_or(0);
  scheduler.priority = number<std::int32_t>(value, "priority").value_or(0);
  scheduler.flags = texts(value, "flags");
  scheduler.runtime = value.find_uint("runtime").value_or(0);
  scheduler.deadline = value.find_uint("deadline").value_or(0);
  scheduler.period = value.find_uint("period").value_or(0);
  return scheduler;
}

MountSpec parse_mount(const Json& value) {
  MountSpec mount;
  mount.destination = checked(value.require_string("destination"));
  if (mount.destination.empty()) throw Error(ErrorKind::Invalid, "destination is empty");
  mount.type = checked(value.string_or("type"));
  mount.source = checked(value.string_or("source"));
  mount.options = texts(value, "options");
  mount.uid_mappings = mappings(value, "uidMappings");
  mount.gid_mappings = mappings(value, "gidMappings");
  return mount;
}

constexpr std::array<std::string_view, 8> kNamespaceNames = {"pid", "network", "mount",  "ipc",
                                                             "uts", "user",    "cgroup", "time"};

NamespaceSpec parse_namespace(const Json& value) {
  const std::string type = value.require_string("type");
  const auto found = std::find(kNamespaceNames.begin(), kNamespaceNames.end(), type);
  if (found == kNamespaceNames.end()) throw Error(ErrorKind::Invalid, "no namespace type " + json_quote(type));
  return {static_cast<NamespaceType>(found - kNamespaceNames.begin()), checked(value.string_or("path"))};
}

DeviceSpec parse_device(const Json& value) {
  DeviceSpec device;
  device.path = checked(value.require_string("path"));
  const std::string type = value.require_string("type");
  if (type.size() != 1 || std::string_view("bcup").find(type[0]) == std::string_view::npos) {
    throw Error(ErrorKind::Invalid, "no device type " + json_quote(type));
  }
  device.type = type[0];
  device.major = value.int_or("major");
  device.minor = value.int_or("minor");
  device.file_mode = number<std::uint32_t>(value, "fileMode");
  device.uid = number<std::uint32_t>(value, "uid");
  device.gid = number<std::uint32_t>(value, "gid");
  return device;
}

TimeOffset parse_time_offset(const Json& value) {
  const TimeOffset offset{value.int_or("secs"), number<std::uint32_t>(value, "nanosecs").value_or(0)};
  if (offset.nanoseconds >= 1000000000) throw Error(ErrorKind::Invalid, "nanosecs is out of range");
  return offset;
}

IntelRdtSpec parse_intel_rdt(const Json& value) {
  IntelRdtSpec rdt;
  rdt.clos_id = checked(value.string_or("closID"));
  rdt.schemata = texts(value, "schemata");
  rdt.l3_cache_schema = checked(value.string_or("l3CacheSchema"));
  rdt.memory_bandwidth_schema = checked(value.string_or("memBwSchema"));
  rdt.enable_monitoring = value.bool_or("enableMonitoring");
  return rdt;
}

LinuxSpec parse_linux(const Json& value) {
  LinuxSpec result;
  result.namespaces = list<NamespaceSpec>(value, "namespaces", parse_namespace);
  result.uid_mappings = mappings(value, "uidMappings");
  result.gid_mappings = mappings(value, "gidMappings");
  for (const auto& member : value.members("timeOffsets")) {
    const auto& clock = member.first;
    if (clock != "monotonic" && clock != "boottime") throw Error(ErrorKind::Invalid, "no clock " + json_quote(clock));
    result.time_offsets[clock] = in_context("timeOffsets." + clock, [&] { return parse_time_offset(member.second); });
  }
  result.devices = list<DeviceSpec>(value, "devices", parse_device);
  for (const auto& [host_name, device] : value.members("netDevices")) {
    result.net_devices[checked(host_name)] = checked(device.string_or("name"));
  }
  result.cgroups_path = checked(value.string_or("cgroupsPath"));
  if (const Json* resources = value.find("resources")) {
    result.resources = in_context("resources", [&] { return parse_resources(*resources); });
  }
  result.rootfs_propagation = value.string_or("rootfsPropagation");
  result.seccomp = maybe<SeccompSpec>(value, "seccomp", parse_seccomp);
  result.sysctl = text_map(value, "sysctl");
  result.masked_paths = texts(value, "maskedPaths");
  result.readonly_paths = texts(value, "readonlyPaths");
  result.mount_label = checked(value.string_or("mountLabel"));
  result.personality = maybe<PersonalitySpec>(value, "personality", [](const Json& personality) {
    return PersonalitySpec{personality.require_string("domain"), texts(personality, "flags")};
  });
  result.intel_rdt = maybe<IntelRdtSpec>(value, "intelRdt", parse_intel_rdt);
  result.memory_policy = maybe<MemoryPolicySpec>(value, "memoryPolicy", [](const Json& policy) {
    return MemoryPolicySpec{policy.require_string("mode"), checked(policy.string_or("nodes")), texts(policy, "flags")};
  });
  return result;
}

HookSpec parse_hook(const Json& value) {
  HookSpec hook;
  hook.path = checked(value.require_string("path"));
  if (!hook.path.is_absolute()) throw Error(ErrorKind::Invalid, "path is not absolute");
  hook.args = texts(value, "args");
  hook.env = texts(value, "env");
  hook.timeout_seconds = number<int>(value, "timeout");
  if (hook.timeout_seconds && *hook.timeout_seconds <= 0) throw Error(ErrorKind::Invalid, "timeout is not above 0");
  return hook;
}

HooksSpec parse_hooks(const Json& value) {
  HooksSpec hooks;
  hooks.prestart = list<HookSpec>(value, "prestart", parse_hook);
  hooks.create_runtime = list<HookSpec>(value, "createRuntime", parse_hook);
  hooks.create_container = list<HookSpec>(value, "createContainer", parse_hook);
  hooks.start_container = list<HookSpec>(value, "startContainer", parse_hook);
  hooks.poststart = list<HookSpec>(value, "poststart", parse_hook);
  hooks.poststop = list<HookSpec>(value, "poststop", parse_hook);
  return hooks;
}

/// The specification's own rule: a major version that is not ours may change anything.
void check_version(const std::string& version) {
  const auto major = cut(version, '.');
  if (!major || !parse_uint(major->first))
    throw Error(ErrorKind::Invalid, "ociVersion " + json_quote(version) + " is no version");
  if (major->first != "1") {
    throw Error(ErrorKind::Unavailable, "ociVersion " + json_quote(version) + " is not supported: this is version " +
                                            std::string(kOciRuntimeVersion));
  }
}

void check_platform(const Json& config) {
  for (const std::string_view other : {"windows", "solaris", "vm", "zos", "freebsd"}) {
    if (config.contains(other)) {
      throw Error(ErrorKind::Unavailable,
                  "config.json is for another platform: it has a member \"" + std::string(other) + "\"");
    }
  }
}

void check_rlimits(const std::vector<RlimitSpec>& limits) {
  for (std::size_t index = 0; index < limits.size(); ++index) {
    const auto is_same = [&](const RlimitSpec& other) { return other.type == limits[index].type; };
    if (std::any_of(limits.begin(), limits.begin() + static_cast<std::ptrdiff_t>(index), is_same)) {
      throw Error(ErrorKind::Invalid, "rlimits lists " + limits[index].type + " twice");
    }
  }
}

/// What the specification knows and this runtime does not do: silently leaving it out would be worse.
void check_supported(const Spec& spec) {
  if (spec.linux.intel_rdt) throw Error(ErrorKind::Unavailable, "linux.intelRdt is not supported");
  if (!spec.linux.net_devices.empty()) throw Error(ErrorKind::Unavailable, "linux.netDevices is not supported");
}

void check_namespaces(const Spec& spec) {
  for (const NamespaceSpec& one : spec.linux.namespaces) {
    const auto same = [&](const NamespaceSpec& other) { return other.type == one.type; };
    if (std::count_if(spec.linux.namespaces.begin(), spec.linux.namespaces.end(), same) > 1) {
      throw Error(ErrorKind::Invalid, "linux.namespaces lists " + std::string(namespace_name(one.type)) + " twice");
    }
  }
  const auto needs = [&](bool is_used, NamespaceType type, const std::string& what) {
    if (is_used && find_namespace(spec, type) == nullptr) {
      throw Error(ErrorKind::Invalid, what + " needs a " + std::string(namespace_name(type)) + " namespace");
    }
  };
  needs(!spec.hostname.empty(), NamespaceType::Uts, "hostname");
  needs(!spec.domainname.empty(), NamespaceType::Uts, "domainname");
  needs(!spec.linux.time_offsets.empty(), NamespaceType::Time, "linux.timeOffsets");
  needs(!spec.linux.uid_mappings.empty() || !spec.linux.gid_mappings.empty(), NamespaceType::User, "an id mapping");
  needs(!spec.linux.net_devices.empty(), NamespaceType::Network, "linux.netDevices");
  needs(true, NamespaceType::Mount, "a container");
  const std::string& propagation = spec.linux.rootfs_propagation;
  static const std::array<std::string_view, 9> kPropagations = {
      "", "private", "slave", "shared", "unbindable", "rprivate", "rslave", "rshared", "runbindable"};
  if (std::find(kPropagations.begin(), kPropagations.end(), propagation) == kPropagations.end()) {
    throw Error(ErrorKind::Invalid, "linux.rootfsPropagation: no propagation " + json_quote(propagation));
  }
}

}  // namespace

ProcessSpec parse_process(const Json& value) {
  value.as_object();
  ProcessSpec process;
  process.terminal = value.bool_or("terminal");
  process.console_size = maybe<ConsoleSize>(value, "consoleSize", [](const Json& size) {
    return ConsoleSize{number<std::uint16_t>(size, "height").value_or(0),
                       number<std::uint16_t>(size, "width").value_or(0)};
  });
  process.user = member(value, "user", parse_user);
  process.args = texts(value, "args");
  process.env = texts(value, "env");
  process.cwd = checked(value.require_string("cwd"));
  if (!process.cwd.starts_with('/')) throw Error(ErrorKind::Invalid, "cwd is not an absolute path");
  process.capabilities = maybe<CapabilitySets>(value, "capabilities", parse_capabilities);
  process.rlimits = list<RlimitSpec>(value, "rlimits", [](const Json& limit) {
    return RlimitSpec{limit.require_string("type"), limit_value(limit, "soft"), limit_value(limit, "hard")};
  });
  check_rlimits(process.rlimits);
  process.no_new_privileges = value.bool_or("noNewPrivileges");
  process.apparmor_profile = checked(value.string_or("apparmorProfile"));
  process.selinux_label = checked(value.string_or("selinuxLabel"));
  process.oom_score_adj = number<int>(value, "oomScoreAdj");
  process.scheduler = maybe<SchedulerSpec>(value, "scheduler", parse_scheduler);
  process.io_priority = maybe<IoPrioritySpec>(value, "ioPriority", [](const Json& priority) {
    return IoPrioritySpec{priority.require_string("class"), number<std::int32_t>(priority, "priority").value_or(0)};
  });
  if (const Json* affinity = value.find("execCPUAffinity")) {
    process.cpu_affinity_initial = affinity->string_or("initial");
    process.cpu_affinity_final = affinity->string_or("final");
  }
  return process;
}

Spec parse_spec(const Json& config) {
  if (!config.is_object()) throw Error(ErrorKind::Invalid, "config.json is not an object");
  Spec spec;
  spec.oci_version = config.require_string("ociVersion");
  check_version(spec.oci_version);
  check_platform(config);
  spec.hostname = checked(config.string_or("hostname"));
  spec.domainname = checked(config.string_or("domainname"));
  if (const Json* root = config.find("root")) {
    spec.root = {in_context("root", [&] { return checked(root->require_string("path")); }), root->bool_or("readonly")};
  }
  if (const Json* process = config.find("process"); process != nullptr && !process->is_null()) {
    spec.process = in_context("process", [&] { return parse_process(*process); });
  }
  spec.mounts = list<MountSpec>(config, "mounts", parse_mount);
  spec.hooks = member(config, "hooks", parse_hooks);
  spec.linux = member(config, "linux", parse_linux);
  spec.annotations = text_map(config, "annotations");
  check_namespaces(spec);
  check_supported(spec);
  return spec;
}

const NamespaceSpec* find_namespace(const Spec& spec, NamespaceType type) {
  for (const NamespaceSpec& one : spec.linux.namespaces) {
    if (one.type == type) return &one;
  }
  return nullptr;
}

std::string_view namespace_name(NamespaceType type) {
  return kNamespaceNames[static_cast<std::size_t>(type)];
}

}  // namespace ctr
