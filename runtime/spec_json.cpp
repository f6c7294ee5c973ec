// Writing config.json: members that are empty are left out, so that what is written is what was meant.
#include <array>

#include "runtime/capabilities.h"
#include "runtime/spec.h"

namespace ctr {

namespace {

void put(Json& object, std::string_view key, const std::string& value) {
  if (!value.empty()) object[key] = value;
}
void put(Json& object, std::string_view key, const std::vector<std::string>& value) {
  if (!value.empty()) object[key] = value;
}
void put(Json& object, std::string_view key, const std::map<std::string, std::string>& value) {
  if (!value.empty()) object[key] = value;
}
void put(Json& object, std::string_view key, Json value) {
  if (!value.empty()) object[key] = std::move(value);
}
template <typename Number>
void put(Json& object, std::string_view key, const std::optional<Number>& value) {
  if (value) object[key] = *value;
}
void put_true(Json& object, std::string_view key, bool value) {
  if (value) object[key] = true;
}

template <typename T, typename Write>
Json array_of(const std::vector<T>& values, Write write) {
  Json array = Json::array();
  for (const T& value : values) array.push_back(write(value));
  return array;
}

Json mapping_json(const IdMapping& mapping) {
  return Json::object({{"containerID", mapping.container_id}, {"hostID", mapping.host_id}, {"size", mapping.size}});
}

Json user_json(const UserSpec& user) {
  Json json = Json::object({{"uid", user.uid}, {"gid", user.gid}});
  put(json, "umask", user.umask);
  put(json, "additionalGids", array_of(user.additional_gids, [](std::uint32_t gid) { return Json(gid); }));
  return json;
}

Json capabilities_json(const CapabilitySets& sets) {
  return Json::object({{"bounding", capability_names(sets.bounding)},
                       {"effective", capability_names(sets.effective)},
                       {"inheritable", capability_names(sets.inheritable)},
                       {"permitted", capability_names(sets.permitted)},
                       {"ambient", capability_names(sets.ambient)}});
}

Json scheduler_json(const SchedulerSpec& scheduler) {
  Json json = Json::object({{"policy", scheduler.policy}});
  if (scheduler.nice != 0) json["nice"] = scheduler.nice;
  if (scheduler.priority != 0) json["priority"] = scheduler.priority;
  put(json, "flags", scheduler.flags);
  if (scheduler.runtime != 0) json["runtime"] = scheduler.runtime;
  if (scheduler.deadline != 0) json["deadline"] = scheduler.deadline;
  if (scheduler.period != 0) json["period"] = scheduler.period;
  return json;
}

Json mount_json(const MountSpec& mount) {
  Json json = Json::object({{"destination", mount.destination.native()}});
  put(json, "type", mount.type);
  put(json, "source", mount.source);
  put(json, "options", mount.options);
  put(json, "uidMappings", array_of(mount.uid_mappings, mapping_json));
  put(json, "gidMappings", array_of(mount.gid_mappings, mapping_json));
  return json;
}

Json device_json(const DeviceSpec& device) {
  Json json = Json::object({{"path", device.path.native()}, {"type", std::string(1, device.type)}});
  if (device.type != 'p') {
    json["major"] = device.major;
    json["minor"] = device.minor;
  }
  put(json, "fileMode", device.file_mode);
  put(json, "uid", device.uid);
  put(json, "gid", device.gid);
  return json;
}

Json device_rule_json(const DeviceRule& rule) {
  Json json = Json::object({{"allow", rule.is_allowed}});
  if (rule.type != 'a') json["type"] = std::string(1, rule.type);
  put(json, "major", rule.major);
  put(json, "minor", rule.minor);
  json["access"] = rule.access;
  return json;
}

Json memory_json(const MemoryLimits& limits) {
  Json json = Json::object();
  put(json, "limit", limits.limit);
  put(json, "reservation", limits.reservation);
  put(json, "swap", limits.swap);
  put(json, "kernel", limits.kernel);
  put(json, "kernelTCP", limits.kernel_tcp);
  put(json, "swappiness", limits.swappiness);
  put(json, "disableOOMKiller", limits.disable_oom_killer);
  put(json, "useHierarchy", limits.use_hierarchy);
  put(json, "checkBeforeUpdate", limits.check_before_update);
  return json;
}

Json cpu_json(const CpuLimits& limits) {
  Json json = Json::object();
  put(json, "shares", limits.shares);
  put(json, "quota", limits.quota);
  put(json, "burst", limits.burst);
  put(json, "period", limits.period);
  put(json, "realtimeRuntime", limits.realtime_runtime);
  put(json, "realtimePeriod", limits.realtime_period);
  put(json, "idle", limits.idle);
  put(json, "cpus", limits.cpus);
  put(json, "mems", limits.mems);
  return json;
}

Json rate_json(const BlockDeviceRate& rate) {
  return Json::object({{"major", rate.major}, {"minor", rate.minor}, {"rate", rate.rate}});
}

Json block_io_json(const BlockIoLimits& limits) {
  Json json = Json::object();
  put(json, "weight", limits.weight);
  put(json, "leafWeight", limits.leaf_weight);
  put(json, "weightDevice", array_of(limits.weight_devices, [](const BlockDeviceWeight& device) {
        Json one = Json::object({{"major", device.major}, {"minor", device.minor}});
        put(one, "weight", device.weight);
        put(one, "leafWeight", device.leaf_weight);
        return one;
      }));
  put(json, "throttleReadBpsDevice", array_of(limits.read_bps, rate_json));
  put(json, "throttleWriteBpsDevice", array_of(limits.write_bps, rate_json));
  put(json, "throttleReadIOPSDevice", array_of(limits.read_iops, rate_json));
  put(json, "throttleWriteIOPSDevice", array_of(limits.write_iops, rate_json));
  return json;
}

Json network_json(const ResourcesSpec& resources) {
  Json json = Json::object();
  put(json, "classID", resources.network_class);
  put(json, "priorities", array_of(resources.network_priorities, [](const NetworkPriority& priority) {
        return Json::object({{"name", priority.interface_name}, {"priority", priority.priority}});
      }));
  return json;
}

std::string_view action_name(SeccompAction action) {
  static constexpr std::array<std::string_view, 8> kNames = {
      "SCMP_ACT_KILL_THREAD", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_TRAP", "SCMP_ACT_ERRNO",
      "SCMP_ACT_TRACE",       "SCMP_ACT_ALLOW",        "SCMP_ACT_LOG",  "SCMP_ACT_NOTIFY"};
  return kNames[static_cast<std::size_t>(action)];
}

std::string_view operator_name(SeccompOperator op) {
  static constexpr std::array<std::string_view, 7> kNames = {
      "SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_MASKED_EQ"};
  return kNames[static_cast<std::size_t>(op)];
}

Json rule_json(const SeccompRule& rule) {
  Json json = Json::object({{"names", rule.names}, {"action", action_name(rule.action)}});
  put(json, "errnoRet", rule.errno_value);
  put(json, "args", array_of(rule.arguments, [](const SeccompArgument& argument) {
        Json one = Json::object({{"index", argument.index}, {"value", argument.value}});
        if (argument.value_two != 0) one["valueTwo"] = argument.value_two;
        one["op"] = operator_name(argument.op);
        return one;
      }));
  return json;
}

Json namespace_json(const NamespaceSpec& one) {
  Json json = Json::object({{"type", namespace_name(one.type)}});
  put(json, "path", one.path.native());
  return json;
}

Json hook_json(const HookSpec& hook) {
  Json json = Json::object({{"path", hook.path.native()}});
  put(json, "args", hook.args);
  put(json, "env", hook.env);
  put(json, "timeout", hook.timeout_seconds);
  return json;
}

Json hooks_json(const HooksSpec& hooks) {
  Json json = Json::object();
  put(json, "prestart", array_of(hooks.prestart, hook_json));
  put(json, "createRuntime", array_of(hooks.create_runtime, hook_json));
  put(json, "createContainer", array_of(hooks.create_container, hook_json));
  put(json, "startContainer", array_of(hooks.start_container, hook_json));
  put(json, "poststart", array_of(hooks.poststart, hook_json));
  put(json, "poststop", array_of(hooks.poststop, hook_json));
  return json;
}

Json intel_rdt_json(const IntelRdtSpec& rdt) {
  Json json = Json::object();
  put(json, "closID", rdt.clos_id);
  put(json, "schemata", rdt.schemata);
  put(json, "l3CacheSchema", rdt.l3_cache_schema);
  put(json, "memBwSchema", rdt.memory_bandwidth_schema);
  put_true(json, "enableMonitoring", rdt.enable_monitoring);
  return json;
}

void put_policies(Json& json, const LinuxSpec& spec) {
  if (spec.seccomp) json["seccomp"] = seccomp_json(*spec.seccomp);
  put(json, "sysctl", spec.sysctl);
  put(json, "maskedPaths", spec.masked_paths);
  put(json, "readonlyPaths", spec.readonly_paths);
  put(json, "mountLabel", spec.mount_label);
  if (spec.personality) {
    Json personality = Json::object({{"domain", spec.personality->domain}});
    put(personality, "flags", spec.personality->flags);
    json["personality"] = personality;
  }
  if (spec.intel_rdt) json["intelRdt"] = intel_rdt_json(*spec.intel_rdt);
  if (spec.memory_policy) {
    Json policy = Json::object({{"mode", spec.memory_policy->mode}});
    put(policy, "nodes", spec.memory_policy->nodes);
    put(policy, "flags", spec.memory_policy->flags);
    json["memoryPolicy"] = policy;
  }
}

Json linux_json(const LinuxSpec& spec) {
  Json json = Json::object();
  put(json, "namespaces", array_of(spec.namespaces, namespace_json));
  put(json, "uidMappings", array_of(spec.uid_mappings, mapping_json));
  put(json, "gidMappings", array_of(spec.gid_mappings, mapping_json));
  Json offsets = Json::object();
  for (const auto& [clock, offset] : spec.time_offsets) {
    offsets[clock] = Json::object({{"secs", offset.seconds}, {"nanosecs", offset.nanoseconds}});
  }
  put(json, "timeOffsets", offsets);
  put(json, "devices", array_of(spec.devices, device_json));
  Json interfaces = Json::object();
  for (const auto& [host_name, name] : spec.net_devices) {
    interfaces[host_name] = Json::object();
    put(interfaces[host_name], "name", name);
  }
  put(json, "netDevices", interfaces);
  put(json, "cgroupsPath", spec.cgroups_path);
  put(json, "resources", resources_json(spec.resources));
  put(json, "rootfsPropagation", spec.rootfs_propagation);
  put_policies(json, spec);
  return json;
}

}  // namespace

Json process_json(const ProcessSpec& process) {
  Json json = Json::object();
  put_true(json, "terminal", process.terminal);
  if (process.console_size) {
    json["consoleSize"] =
        Json::object({{"height", int{process.console_size->height}}, {"width", int{process.console_size->width}}});
  }
  json["user"] = user_json(process.user);
  put(json, "args", process.args);
  put(json, "env", process.env);
  json["cwd"] = process.cwd;
  if (process.capabilities) json["capabilities"] = capabilities_json(*process.capabilities);
  put(json, "rlimits", array_of(process.rlimits, [](const RlimitSpec& limit) {
        return Json::object({{"type", limit.type}, {"hard", limit.hard}, {"soft", limit.soft}});
      }));
  put_true(json, "noNewPrivileges", process.no_new_privileges);
  put(json, "apparmorProfile", process.apparmor_profile);
  put(json, "selinuxLabel", process.selinux_label);
  put(json, "oomScoreAdj", process.oom_score_adj);
  if (process.scheduler) json["scheduler"] = scheduler_json(*process.scheduler);
  if (process.io_priority) {
    json["ioPriority"] =
        Json::object({{"class", process.io_priority->io_class}, {"priority", process.io_priority->priority}});
  }
  Json affinity = Json::object();
  put(affinity, "initial", process.cpu_affinity_initial);
  put(affinity, "final", process.cpu_affinity_final);
  put(json, "execCPUAffinity", affinity);
  return json;
}

Json resources_json(const ResourcesSpec& resources) {
  Json json = Json::object();
  put(json, "devices", array_of(resources.devices, device_rule_json));
  put(json, "memory", memory_json(resources.memory));
  put(json, "cpu", cpu_json(resources.cpu));
  if (resources.pids_limit) json["pids"] = Json::object({{"limit", *resources.pids_limit}});
  put(json, "blockIO", block_io_json(resources.block_io));
  put(json, "hugepageLimits", array_of(resources.hugepages, [](const HugepageLimit& limit) {
        return Json::object({{"pageSize", limit.page_size}, {"limit", limit.limit}});
      }));
  put(json, "network", network_json(resources));
  Json rdma = Json::object();
  for (const auto& [device, limit] : resources.rdma) {
    rdma[device] = Json::object();
    put(rdma[device], "hcaHandles", limit.handles);
    put(rdma[device], "hcaObjects", limit.objects);
  }
  put(json, "rdma", rdma);
  put(json, "unified", resources.unified);
  return json;
}

Json seccomp_json(const SeccompSpec& seccomp) {
  Json json = Json::object({{"defaultAction", action_name(seccomp.default_action)}});
  put(json, "defaultErrnoRet", seccomp.default_errno);
  put(json, "architectures", seccomp.architectures);
  put(json, "flags", seccomp.flags);
  put(json, "listenerPath", seccomp.listener_path.native());
  put(json, "listenerMetadata", seccomp.listener_metadata);
  put(json, "syscalls", array_of(seccomp.rules, rule_json));
  return json;
}

Json spec_json(const Spec& spec) {
  Json json = Json::object({{"ociVersion", spec.oci_version}});
  if (spec.process) json["process"] = process_json(*spec.process);
  Json root = Json::object({{"path", spec.root.path.native()}});
  put_true(root, "readonly", spec.root.readonly);
  json["root"] = root;
  put(json, "hostname", spec.hostname);
  put(json, "domainname", spec.domainname);
  put(json, "mounts", array_of(spec.mounts, mount_json));
  put(json, "hooks", hooks_json(spec.hooks));
  put(json, "annotations", spec.annotations);
  put(json, "linux", linux_json(spec.linux));
  return json;
}

}  // namespace ctr
