// The OCI runtime specification's config.json for Linux as plain values. Parsing checks types, names and ranges, and
// refuses by name what the specification requires and this runtime cannot do; it opens nothing and asks the kernel
// nothing.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/json.h"

namespace ctr {

/// The version of the runtime specification that this code implements.
inline constexpr std::string_view kOciRuntimeVersion = "1.3.0";

struct IdMapping {
  std::uint32_t container_id = 0;
  std::uint32_t host_id = 0;
  std::uint32_t size = 0;

  friend bool operator==(const IdMapping&, const IdMapping&) = default;
};

/// Numeric only: names are resolved by runtime/user_lookup.h, either by the caller or through SandboxOptions::user.
struct UserSpec {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::optional<std::uint32_t> umask;
  std::vector<std::uint32_t> additional_gids;
};

/// Capability sets as bit masks: bit n is capability number n (runtime/capabilities.h has the names).
struct CapabilitySets {
  std::uint64_t bounding = 0;
  std::uint64_t effective = 0;
  std::uint64_t inheritable = 0;
  std::uint64_t permitted = 0;
  std::uint64_t ambient = 0;

  friend bool operator==(const CapabilitySets&, const CapabilitySets&) = default;
};

/// `type` as in the specification, "RLIMIT_NOFILE"; RLIM_INFINITY is the largest value.
struct RlimitSpec {
  std::string type;
  std::uint64_t soft = 0;
  std::uint64_t hard = 0;
};

struct SchedulerSpec {
  std::string policy;
  std::int32_t nice = 0;
  std::int32_t priority = 0;
  std::vector<std::string> flags;
  std::uint64_t runtime = 0;
  std::uint64_t deadline = 0;
  std::uint64_t period = 0;
};

struct IoPrioritySpec {
  std::string io_class;
  std::int32_t priority = 0;
};

struct ConsoleSize {
  std::uint16_t height = 0;
  std::uint16_t width = 0;
};

struct ProcessSpec {
  bool terminal = false;
  std::optional<ConsoleSize> console_size;
  UserSpec user;
  std::vector<std::string> args;
  std::vector<std::string> env;
  std::string cwd = "/";
  /// Absent: none at all.
  std::optional<CapabilitySets> capabilities;
  std::vector<RlimitSpec> rlimits;
  bool no_new_privileges = false;
  std::string apparmor_profile;
  std::string selinux_label;
  std::optional<int> oom_score_adj;
  std::optional<SchedulerSpec> scheduler;
  std::optional<IoPrioritySpec> io_priority;
  /// Processors for exec, as lists ("0-3,7"): while joining, and for the command.
  std::string cpu_affinity_initial;
  std::string cpu_affinity_final;
};

struct RootSpec {
  fs::path path;
  bool readonly = false;
};

struct MountSpec {
  fs::path destination;
  std::string type;
  std::string source;
  std::vector<std::string> options;
  std::vector<IdMapping> uid_mappings;
  std::vector<IdMapping> gid_mappings;
};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"  // g++ takes the scoped Time for a shadow of ctr::Time
enum class NamespaceType { Pid, Network, Mount, Ipc, Uts, User, Cgroup, Time };
#pragma GCC diagnostic pop

/// With a path the namespace is joined, without one it is made.
struct NamespaceSpec {
  NamespaceType type = NamespaceType::Pid;
  fs::path path;
};

/// `type` is one of b, c, u, p.
struct DeviceSpec {
  fs::path path;
  char type = 'c';
  std::int64_t major = 0;
  std::int64_t minor = 0;
  std::optional<std::uint32_t> file_mode;
  std::optional<std::uint32_t> uid;
  std::optional<std::uint32_t> gid;
};

/// `type` is a, b or c; an absent number means any.
struct DeviceRule {
  bool is_allowed = false;
  char type = 'a';
  std::optional<std::int64_t> major;
  std::optional<std::int64_t> minor;
  std::string access = "rwm";
};

struct MemoryLimits {
  std::optional<std::int64_t> limit;
  std::optional<std::int64_t> reservation;
  std::optional<std::int64_t> swap;
  std::optional<std::int64_t> kernel;
  std::optional<std::int64_t> kernel_tcp;
  std::optional<std::uint64_t> swappiness;
  std::optional<bool> disable_oom_killer;
  std::optional<bool> use_hierarchy;
  std::optional<bool> check_before_update;
};

struct CpuLimits {
  std::optional<std::uint64_t> shares;
  std::optional<std::int64_t> quota;
  std::optional<std::uint64_t> burst;
  std::optional<std::uint64_t> period;
  std::optional<std::int64_t> realtime_runtime;
  std::optional<std::uint64_t> realtime_period;
  std::optional<std::int64_t> idle;
  std::string cpus;
  std::string mems;
};

struct BlockDeviceWeight {
  std::int64_t major = 0;
  std::int64_t minor = 0;
  std::optional<std::uint16_t> weight;
  std::optional<std::uint16_t> leaf_weight;
};

struct BlockDeviceRate {
  std::int64_t major = 0;
  std::int64_t minor = 0;
  std::uint64_t rate = 0;
};

struct BlockIoLimits {
  std::optional<std::uint16_t> weight;
  std::optional<std::uint16_t> leaf_weight;
  std::vector<BlockDeviceWeight> weight_devices;
  std::vector<BlockDeviceRate> read_bps;
  std::vector<BlockDeviceRate> write_bps;
  std::vector<BlockDeviceRate> read_iops;
  std::vector<BlockDeviceRate> write_iops;
};

struct HugepageLimit {
  std::string page_size;
  std::uint64_t limit = 0;
};

struct NetworkPriority {
  std::string interface_name;
  std::uint32_t priority = 0;
};

struct RdmaLimit {
  std::optional<std::uint32_t> handles;
  std::optional<std::uint32_t> objects;
};

struct ResourcesSpec {
  std::vector<DeviceRule> devices;
  MemoryLimits memory;
  CpuLimits cpu;
  std::optional<std::int64_t> pids_limit;
  BlockIoLimits block_io;
  std::vector<HugepageLimit> hugepages;
  std::optional<std::uint32_t> network_class;
  std::vector<NetworkPriority> network_priorities;
  std::map<std::string, RdmaLimit> rdma;
  /// Files of cgroup v2 and their content, written as they are.
  std::map<std::string, std::string> unified;
};

enum class SeccompAction { KillThread, KillProcess, Trap, Errno, Trace, Allow, Log, Notify };
enum class SeccompOperator { NotEqual, Less, LessOrEqual, Equal, GreaterOrEqual, Greater, MaskedEqual };

/// For MaskedEqual, `value` is the mask and `value_two` what the masked argument must be.
struct SeccompArgument {
  std::uint32_t index = 0;
  std::uint64_t value = 0;
  std::uint64_t value_two = 0;
  SeccompOperator op = SeccompOperator::Equal;
};

struct SeccompRule {
  std::vector<std::string> names;
  SeccompAction action = SeccompAction::Allow;
  std::optional<std::uint32_t> errno_value;
  std::vector<SeccompArgument> arguments;
};

/// Architectures and flags by their names in the specification ("SCMP_ARCH_X86_64", "SECCOMP_FILTER_FLAG_LOG").
struct SeccompSpec {
  SeccompAction default_action = SeccompAction::Errno;
  std::optional<std::uint32_t> default_errno;
  std::vector<std::string> architectures;
  std::vector<std::string> flags;
  fs::path listener_path;
  std::string listener_metadata;
  std::vector<SeccompRule> rules;
};

struct TimeOffset {
  std::int64_t seconds = 0;
  std::uint32_t nanoseconds = 0;
};

struct PersonalitySpec {
  std::string domain;
  std::vector<std::string> flags;
};

struct IntelRdtSpec {
  std::string clos_id;
  std::vector<std::string> schemata;
  std::string l3_cache_schema;
  std::string memory_bandwidth_schema;
  bool enable_monitoring = false;
};

struct MemoryPolicySpec {
  std::string mode;
  std::string nodes;
  std::vector<std::string> flags;
};

struct LinuxSpec {
  std::vector<NamespaceSpec> namespaces;
  std::vector<IdMapping> uid_mappings;
  std::vector<IdMapping> gid_mappings;
  std::map<std::string, TimeOffset> time_offsets;
  std::vector<DeviceSpec> devices;
  /// Host interface -> name in the container (empty: the same name).
  std::map<std::string, std::string> net_devices;
  std::string cgroups_path;
  ResourcesSpec resources;
  std::string rootfs_propagation;
  std::optional<SeccompSpec> seccomp;
  std::map<std::string, std::string> sysctl;
  std::vector<std::string> masked_paths;
  std::vector<std::string> readonly_paths;
  std::string mount_label;
  std::optional<PersonalitySpec> personality;
  std::optional<IntelRdtSpec> intel_rdt;
  std::optional<MemoryPolicySpec> memory_policy;
};

struct HookSpec {
  fs::path path;
  std::vector<std::string> args;
  std::vector<std::string> env;
  std::optional<int> timeout_seconds;
};

struct HooksSpec {
  std::vector<HookSpec> prestart;
  std::vector<HookSpec> create_runtime;
  std::vector<HookSpec> create_container;
  std::vector<HookSpec> start_container;
  std::vector<HookSpec> poststart;
  std::vector<HookSpec> poststop;
};

struct Spec {
  std::string oci_version{kOciRuntimeVersion};
  std::string hostname;
  std::string domainname;
  RootSpec root;
  std::optional<ProcessSpec> process;
  std::vector<MountSpec> mounts;
  HooksSpec hooks;
  LinuxSpec linux;
  std::map<std::string, std::string> annotations;
};

/// Throws Invalid with the member's path ("process.rlimits[0].type"), Unavailable for a feature that is refused.
Spec parse_spec(const Json& config);
ProcessSpec parse_process(const Json& process);
ResourcesSpec parse_resources(const Json& resources);
SeccompSpec parse_seccomp(const Json& seccomp);

Json spec_json(const Spec& spec);
Json process_json(const ProcessSpec& process);
Json resources_json(const ResourcesSpec& resources);
Json seccomp_json(const SeccompSpec& seccomp);

/// Whether the container gets that namespace, new or joined; null when it shares the runtime's.
const NamespaceSpec* find_namespace(const Spec& spec, NamespaceType type);
/// "pid", "network", ... as config.json spells it.
std::string_view namespace_name(NamespaceType type);

}  // namespace ctr
