// Docker's Config, HostConfig and NetworkingConfig as plain structs, with the JSON of Docker's Engine API in both
// directions. This is the vocabulary of engine/: the command line fills these from flags, `inspect` prints them, and
// container records keep them. What a field means is Docker's business; make_spec.h turns them into an OCI spec.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"

namespace ctr {

using StringMap = std::map<std::string, std::string>;
using StringList = std::vector<std::string>;

struct HealthConfig {
  StringList test;  // {}: inherit; {"NONE"}; {"CMD", args...}; {"CMD-SHELL", command}
  std::int64_t interval_ns = 0;
  std::int64_t timeout_ns = 0;
  std::int64_t start_period_ns = 0;
  std::int64_t start_interval_ns = 0;
  std::int64_t retries = 0;
};

/// Docker's Config: what the image could have said as well.
struct ContainerConfig {
  std::string hostname;
  std::string domainname;
  std::string user;
  bool attach_stdin = false;
  bool attach_stdout = false;
  bool attach_stderr = false;
  std::vector<std::string> exposed_ports;  // "8080/tcp"; an object of empty objects in JSON
  bool tty = false;
  bool open_stdin = false;
  bool stdin_once = false;
  StringList env;
  std::optional<StringList> cmd;         // absent: the image's
  std::optional<HealthConfig> healthcheck;
  std::string image;
  std::vector<std::string> volumes;      // container paths; an object of empty objects in JSON
  std::string working_dir;
  std::optional<StringList> entrypoint;  // absent: the image's; {""} or {}: none
  bool network_disabled = false;
  std::string mac_address;
  StringList on_build;
  StringMap labels;
  std::string stop_signal;
  std::optional<std::int64_t> stop_timeout;
  StringList shell;
};

struct PortBinding {
  std::string host_ip;
  std::string host_port;  // empty: any free one; "8000-8010" is a range to take one from
};
/// "8080/tcp" -> where it is published.
using PortMap = std::map<std::string, std::vector<PortBinding>>;

struct LogConfig {
  std::string type;  // empty: the configuration's
  StringMap config;
};

struct RestartPolicy {
  std::string name;  // "", no, on-failure, always, unless-stopped, on-unhealthy
  std::int64_t maximum_retry_count = 0;
};

struct DeviceMapping {
  std::string path_on_host;
  std::string path_in_container;
  std::string cgroup_permissions;
};

struct DeviceRequest {
  std::string driver;
  std::int64_t count = 0;
  StringList device_ids;
  std::vector<StringList> capabilities;
  StringMap options;
};

struct ThrottleDevice {
  std::string path;
  std::uint64_t rate = 0;
};
struct WeightDevice {
  std::string path;
  std::uint16_t weight = 0;
};

struct Ulimit {
  std::string name;
  std::int64_t hard = 0;
  std::int64_t soft = 0;
};

struct BindOptions {
  std::string propagation;
  bool non_recursive = false;
  bool create_mountpoint = false;
  bool read_only_non_recursive = false;
  bool read_only_force_recursive = false;
};
struct VolumeOptions {
  bool no_copy = false;
  StringMap labels;
  std::string driver;
  StringMap driver_options;
  std::string subpath;
};
struct TmpfsOptions {
  std::int64_t size_bytes = 0;
  std::int64_t mode = 0;
  std::vector<StringList> options;
};
struct ImageOptions {
  std::string subpath;
};

/// A --mount of the user: Docker's HostConfig.Mounts element.
struct MountRequest {
  std::string type;  // bind, volume, tmpfs, image
  std::string source;
  std::string target;
  bool read_only = false;
  std::string consistency;
  std::string id_mapping;  // ours: `idmap` or `idmap=…`
  std::optional<BindOptions> bind_options;
  std::optional<VolumeOptions> volume_options;
  std::optional<TmpfsOptions> tmpfs_options;
  std::optional<ImageOptions> image_options;
};

/// What `update` can change on a living container: Docker's Resources, embedded in HostConfig.
struct Resources {
  std::int64_t cpu_shares = 0;
  std::int64_t memory = 0;
  std::int64_t nano_cpus = 0;
  std::string cgroup_parent;
  std::uint16_t blkio_weight = 0;
  std::vector<WeightDevice> blkio_weight_device;
  std::vector<ThrottleDevice> blkio_device_read_bps;
  std::vector<ThrottleDevice> blkio_device_write_bps;
  std::vector<ThrottleDevice> blkio_device_read_iops;
  std::vector<ThrottleDevice> blkio_device_write_iops;
  std::int64_t cpu_period = 0;
  std::int64_t cpu_quota = 0;
  std::int64_t cpu_realtime_period = 0;
  std::int64_t cpu_realtime_runtime = 0;
  std::string cpuset_cpus;
  std::string cpuset_mems;
  std::vector<DeviceMapping> devices;
  StringList device_cgroup_rules;
  std::vector<DeviceRequest> device_requests;
  std::int64_t memory_reservation = 0;
  std::int64_t memory_swap = 0;
  std::optional<std::int64_t> memory_swappiness;
  std::optional<bool> oom_kill_disable;
  std::optional<std::int64_t> pids_limit;
  std::vector<Ulimit> ulimits;
};

/// Docker's HostConfig: what only this host can say.
struct HostConfig : Resources {
  StringList binds;  // -v: source:target[:options]
  std::string container_id_file;
  LogConfig log_config;
  std::string network_mode;  // default, bridge, none, host, container:ID, or a network's name
  PortMap port_bindings;
  RestartPolicy restart_policy;
  bool auto_remove = false;
  std::string volume_driver;
  StringList volumes_from;
  std::vector<std::int64_t> console_size;  // rows, columns
  StringMap annotations;
  StringList cap_add;
  StringList cap_drop;
  std::string cgroupns_mode;
  StringList dns;
  StringList dns_options;
  StringList dns_search;
  StringList extra_hosts;
  StringList group_add;
  std::string ipc_mode;
  std::string cgroup;
  StringList links;
  std::int64_t oom_score_adj = 0;
  std::string pid_mode;
  bool privileged = false;
  bool publish_all_ports = false;
  bool readonly_rootfs = false;
  StringList security_opt;
  StringMap storage_opt;
  StringMap tmpfs;
  std::string uts_mode;
  std::string userns_mode;
  std::int64_t shm_size = 0;  // 0: 64 MiB
  StringMap sysctls;
  std::string runtime;
  std::string isolation;
  std::optional<bool> init;
  std::vector<MountRequest> mounts;
  std::optional<StringList> masked_paths;    // absent: the default ones
  std::optional<StringList> readonly_paths;  // absent: the default ones
};

struct EndpointIpamConfig {
  std::string ipv4_address;
  std::string ipv6_address;
  StringList link_local_ips;
};

/// Docker's EndpointSettings: what the user asked of one network, and what the network gave.
struct EndpointSettings {
  std::optional<EndpointIpamConfig> ipam_config;
  StringList links;
  StringList aliases;
  std::string mac_address;
  StringMap driver_opts;
  std::int64_t gw_priority = 0;
  // Given by the network while the container runs.
  std::string network_id;
  std::string endpoint_id;
  std::string gateway;
  std::string ip_address;
  std::int64_t ip_prefix_len = 0;
  std::string ipv6_gateway;
  std::string global_ipv6_address;
  std::int64_t global_ipv6_prefix_len = 0;
  StringList dns_names;
};

/// The one driver option of an endpoint: what its interface is called in the container.
inline constexpr const char* kInterfaceNameOption = "com.docker.network.endpoint.ifname";

struct NetworkingConfig {
  std::map<std::string, EndpointSettings> endpoints_config;
};

/// Full: every key, as the API and `inspect` show it. Compact: only what differs from the default, for records.
enum class JsonForm { Full, Compact };

Json to_json(const ContainerConfig& config, JsonForm form);
Json to_json(const HostConfig& config, JsonForm form);
Json to_json(const NetworkingConfig& config, JsonForm form);
Json to_json(const EndpointSettings& settings, JsonForm form);
Json to_json(const HealthConfig& config, JsonForm form);
Json to_json(const PortMap& ports);

/// Unknown keys are ignored, as by Docker's API; a value of the wrong type throws Invalid naming the key.
ContainerConfig container_config_from_json(const Json& json);
HostConfig host_config_from_json(const Json& json);
NetworkingConfig networking_config_from_json(const Json& json);
EndpointSettings endpoint_settings_from_json(const Json& json);
HealthConfig health_config_from_json(const Json& json);

}  // namespace ctr
