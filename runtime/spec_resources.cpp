// Parsing linux.resources and linux.seccomp of config.json.
#include <algorithm>

#include "runtime/spec.h"
#include "runtime/spec_reader.h"

namespace ctr {

namespace {

using namespace spec_reader;

DeviceRule parse_device_rule(const Json& value) {
  DeviceRule rule;
  rule.is_allowed = value.bool_or("allow");
  const std::string type = value.string_or("type", "a");
  if (type.size() > 1 || (!type.empty() && std::string_view("abcup").find(type[0]) == std::string_view::npos)) {
    throw Error(ErrorKind::Invalid, "no device type " + json_quote(type));
  }
  rule.type = type.empty() ? 'a' : type[0] == 'u' ? 'c' : type[0];
  rule.major = value.find_int("major");
  rule.minor = value.find_int("minor");
  if (rule.major && *rule.major < 0) rule.major.reset();
  if (rule.minor && *rule.minor < 0) rule.minor.reset();
  rule.access = value.string_or("access", "rwm");
  if (rule.access.empty()) rule.access = "rwm";
  if (rule.access.find_first_not_of("rwm") != std::string::npos) {
    throw Error(ErrorKind::Invalid, "no device access " + json_quote(rule.access));
  }
  return rule;
}

BlockDeviceRate parse_rate(const Json& value) {
  return {value.int_or("major"), value.int_or("minor"), value.find_uint("rate").value_or(0)};
}

BlockIoLimits parse_block_io(const Json& value) {
  BlockIoLimits limits;
  limits.weight = number<std::uint16_t>(value, "weight");
  limits.leaf_weight = number<std::uint16_t>(value, "leafWeight");
  limits.weight_devices = list<BlockDeviceWeight>(value, "weightDevice", [](const Json& device) {
    return BlockDeviceWeight{device.int_or("major"), device.int_or("minor"), number<std::uint16_t>(device, "weight"),
                             number<std::uint16_t>(device, "leafWeight")};
  });
  limits.read_bps = list<BlockDeviceRate>(value, "throttleReadBpsDevice", parse_rate);
  limits.write_bps = list<BlockDeviceRate>(value, "throttleWriteBpsDevice", parse_rate);
  limits.read_iops = list<BlockDeviceRate>(value, "throttleReadIOPSDevice", parse_rate);
  limits.write_iops = list<BlockDeviceRate>(value, "throttleWriteIOPSDevice", parse_rate);
  return limits;
}

MemoryLimits parse_memory(const Json& value) {
  MemoryLimits limits;
  limits.limit = value.find_int("limit");
  limits.reservation = value.find_int("reservation");
  limits.swap = value.find_int("swap");
  limits.kernel = value.find_int("kernel");
  limits.kernel_tcp = value.find_int("kernelTCP");
  limits.swappiness = value.find_uint("swappiness");
  limits.disable_oom_killer = value.find_bool("disableOOMKiller");
  limits.use_hierarchy = value.find_bool("useHierarchy");
  limits.check_before_update = value.find_bool("checkBeforeUpdate");
  return limits;
}

CpuLimits parse_cpu(const Json& value) {
  CpuLimits limits;
  limits.shares = value.find_uint("shares");
  limits.quota = value.find_int("quota");
  limits.burst = value.find_uint("burst");
  limits.period = value.find_uint("period");
  limits.realtime_runtime = value.find_int("realtimeRuntime");
  limits.realtime_period = value.find_uint("realtimePeriod");
  limits.idle = value.find_int("idle");
  limits.cpus = checked(value.string_or("cpus"));
  limits.mems = checked(value.string_or("mems"));
  return limits;
}

SeccompAction parse_action(const std::string& text) {
  static const std::map<std::string_view, SeccompAction> kActions = {
      {"SCMP_ACT_KILL", SeccompAction::KillThread}, {"SCMP_ACT_KILL_THREAD", SeccompAction::KillThread},
      {"SCMP_ACT_TRAP", SeccompAction::Trap},       {"SCMP_ACT_KILL_PROCESS", SeccompAction::KillProcess},
      {"SCMP_ACT_ERRNO", SeccompAction::Errno},     {"SCMP_ACT_TRACE", SeccompAction::Trace},
      {"SCMP_ACT_ALLOW", SeccompAction::Allow},     {"SCMP_ACT_LOG", SeccompAction::Log},
      {"SCMP_ACT_NOTIFY", SeccompAction::Notify},
  };
  const auto found = kActions.find(text);
  if (found == kActions.end()) throw Error(ErrorKind::Invalid, "no seccomp action " + json_quote(text));
  return found->second;
}

SeccompArgument parse_argument(const Json& value) {
  static const std::map<std::string_view, SeccompOperator> kOperators = {
      {"SCMP_CMP_NE", SeccompOperator::NotEqual},           {"SCMP_CMP_LT", SeccompOperator::Less},
      {"SCMP_CMP_LE", SeccompOperator::LessOrEqual},        {"SCMP_CMP_EQ", SeccompOperator::Equal},
      {"SCMP_CMP_GE", SeccompOperator::GreaterOrEqual},     {"SCMP_CMP_GT", SeccompOperator::Greater},
      {"SCMP_CMP_MASKED_EQ", SeccompOperator::MaskedEqual},
  };
  SeccompArgument argument;
  argument.index = number<std::uint32_t>(value, "index").value_or(0);
  if (argument.index > 5) throw Error(ErrorKind::Invalid, "index is above 5");
  argument.value = value.find_uint("value").value_or(0);
  argument.value_two = value.find_uint("valueTwo").value_or(0);
  const std::string op = value.require_string("op");
  const auto found = kOperators.find(op);
  if (found == kOperators.end()) throw Error(ErrorKind::Invalid, "no seccomp operator " + json_quote(op));
  argument.op = found->second;
  return argument;
}

SeccompRule parse_rule(const Json& value) {
  SeccompRule rule;
  rule.names = texts(value, "names");
  if (const auto name = value.find_string("name"); name && rule.names.empty()) rule.names.push_back(*name);
  if (rule.names.empty()) throw Error(ErrorKind::Invalid, "names is empty");
  rule.action = parse_action(value.require_string("action"));
  rule.errno_value = number<std::uint32_t>(value, "errnoRet");
  rule.arguments = list<SeccompArgument>(value, "args", parse_argument);
  return rule;
}

}  // namespace

ResourcesSpec parse_resources(const Json& value) {
  value.as_object();
  ResourcesSpec resources;
  resources.devices = list<DeviceRule>(value, "devices", parse_device_rule);
  resources.memory = member(value, "memory", parse_memory);
  resources.cpu = member(value, "cpu", parse_cpu);
  resources.pids_limit = member(value, "pids", [](const Json& pids) { return pids.find_int("limit"); });
  resources.block_io = member(value, "blockIO", parse_block_io);
  resources.hugepages = list<HugepageLimit>(value, "hugepageLimits", [](const Json& limit) {
    return HugepageLimit{checked(limit.require_string("pageSize")), limit.find_uint("limit").value_or(0)};
  });
  member(value, "network", [&](const Json& network) {
    resources.network_class = number<std::uint32_t>(network, "classID");
    resources.network_priorities = list<NetworkPriority>(network, "priorities", [](const Json& priority) {
      return NetworkPriority{checked(priority.require_string("name")),
                             number<std::uint32_t>(priority, "priority").value_or(0)};
    });
  });
  for (const auto& [device, limit] : value.members("rdma")) {
    resources.rdma[checked(device)] = {number<std::uint32_t>(limit, "hcaHandles"),
                                       number<std::uint32_t>(limit, "hcaObjects")};
  }
  resources.unified = text_map(value, "unified");
  return resources;
}

SeccompSpec parse_seccomp(const Json& value) {
  value.as_object();
  SeccompSpec seccomp;
  seccomp.default_action = parse_action(value.require_string("defaultAction"));
  seccomp.default_errno = number<std::uint32_t>(value, "defaultErrnoRet");
  seccomp.architectures = texts(value, "architectures");
  seccomp.flags = texts(value, "flags");
  seccomp.listener_path = checked(value.string_or("listenerPath"));
  seccomp.listener_metadata = value.string_or("listenerMetadata");
  seccomp.rules = list<SeccompRule>(value, "syscalls", parse_rule);
  const bool notifies = std::any_of(seccomp.rules.begin(), seccomp.rules.end(),
                                    [](const SeccompRule& rule) { return rule.action == SeccompAction::Notify; });
  if (seccomp.listener_path.empty() && notifies) {
    throw Error(ErrorKind::Invalid, "SCMP_ACT_NOTIFY needs a listenerPath");
  }
  if (seccomp.listener_path.empty() && !seccomp.listener_metadata.empty()) {
    throw Error(ErrorKind::Invalid, "listenerMetadata needs a listenerPath");
  }
  return seccomp;
}

}  // namespace ctr
