#include "engine/container_config.h"

#include "engine/json_fields.h"

namespace ctr {

template <class V>
void fields(V& visit, HealthConfig& c) {
  visit("Test", c.test, Empty::Omitted);
  visit("Interval", c.interval_ns, Empty::Omitted);
  visit("Timeout", c.timeout_ns, Empty::Omitted);
  visit("StartPeriod", c.start_period_ns, Empty::Omitted);
  visit("StartInterval", c.start_interval_ns, Empty::Omitted);
  visit("Retries", c.retries, Empty::Omitted);
}

template <class V>
void fields(V& visit, ContainerConfig& c) {
  visit("Hostname", c.hostname);
  visit("Domainname", c.domainname);
  visit("User", c.user);
  visit("AttachStdin", c.attach_stdin);
  visit("AttachStdout", c.attach_stdout);
  visit("AttachStderr", c.attach_stderr);
  visit.set("ExposedPorts", c.exposed_ports, Empty::Omitted);
  visit("Tty", c.tty);
  visit("OpenStdin", c.open_stdin);
  visit("StdinOnce", c.stdin_once);
  visit("Env", c.env, Empty::Null);
  visit("Cmd", c.cmd);
  visit("Healthcheck", c.healthcheck, Empty::Omitted);
  visit("Image", c.image);
  visit.set("Volumes", c.volumes, Empty::Null);
  visit("WorkingDir", c.working_dir);
  visit("Entrypoint", c.entrypoint);
  visit("NetworkDisabled", c.network_disabled, Empty::Omitted);
  visit("MacAddress", c.mac_address, Empty::Omitted);
  visit("OnBuild", c.on_build, Empty::Null);
  visit("Labels", c.labels);
  visit("StopSignal", c.stop_signal, Empty::Omitted);
  visit("StopTimeout", c.stop_timeout, Empty::Omitted);
  visit("Shell", c.shell, Empty::Omitted);
}

template <class V>
void fields(V& visit, PortBinding& c) {
  visit("HostIp", c.host_ip);
  visit("HostPort", c.host_port);
}

template <class V>
void fields(V& visit, LogConfig& c) {
  visit("Type", c.type);
  visit("Config", c.config);
}

template <class V>
void fields(V& visit, RestartPolicy& c) {
  visit("Name", c.name);
  visit("MaximumRetryCount", c.maximum_retry_count);
}

template <class V>
void fields(V& visit, DeviceMapping& c) {
  visit("PathOnHost", c.path_on_host);
  visit("PathInContainer", c.path_in_container);
  visit("CgroupPermissions", c.cgroup_permissions);
}

template <class V>
void fields(V& visit, DeviceRequest& c) {
  visit("Driver", c.driver);
  visit("Count", c.count);
  visit("DeviceIDs", c.device_ids, Empty::Null);
  visit("Capabilities", c.capabilities);
  visit("Options", c.options);
}

template <class V>
void fields(V& visit, ThrottleDevice& c) {
  visit("Path", c.path);
  visit("Rate", c.rate);
}

template <class V>
void fields(V& visit, WeightDevice& c) {
  visit("Path", c.path);
  visit("Weight", c.weight);
}

template <class V>
void fields(V& visit, Ulimit& c) {
  visit("Name", c.name);
  visit("Hard", c.hard);
  visit("Soft", c.soft);
}

template <class V>
void fields(V& visit, BindOptions& c) {
  visit("Propagation", c.propagation, Empty::Omitted);
  visit("NonRecursive", c.non_recursive, Empty::Omitted);
  visit("CreateMountpoint", c.create_mountpoint, Empty::Omitted);
  visit("ReadOnlyNonRecursive", c.read_only_non_recursive, Empty::Omitted);
  visit("ReadOnlyForceRecursive", c.read_only_force_recursive, Empty::Omitted);
}

/// VolumeOptions.DriverConfig is an object of its own in Docker's JSON.
struct VolumeDriverConfig {
  std::string& name;
  StringMap& options;
};
template <class V>
void fields(V& visit, VolumeDriverConfig& c) {
  visit("Name", c.name, Empty::Omitted);
  visit("Options", c.options, Empty::Omitted);
}

void fields(FieldWriter& visit, VolumeOptions& c) {
  visit("NoCopy", c.no_copy, Empty::Omitted);
  visit("Labels", c.labels, Empty::Omitted);
  if (!c.driver.empty() || !c.driver_options.empty()) {
    visit("DriverConfig", VolumeDriverConfig{c.driver, c.driver_options});
  }
  visit("Subpath", c.subpath, Empty::Omitted);
}
void fields(FieldReader& visit, VolumeOptions& c) {
  visit("NoCopy", c.no_copy);
  visit("Labels", c.labels);
  VolumeDriverConfig driver{c.driver, c.driver_options};
  visit("DriverConfig", driver);
  visit("Subpath", c.subpath);
}

template <class V>
void fields(V& visit, TmpfsOptions& c) {
  visit("SizeBytes", c.size_bytes, Empty::Omitted);
  visit("Mode", c.mode, Empty::Omitted);
  visit("Options", c.options, Empty::Omitted);
}

template <class V>
void fields(V& visit, ImageOptions& c) {
  visit("Subpath", c.subpath, Empty::Omitted);
}

template <class V>
void fields(V& visit, MountRequest& c) {
  visit("Type", c.type, Empty::Omitted);
  visit("Source", c.source, Empty::Omitted);
  visit("Target", c.target, Empty::Omitted);
  visit("ReadOnly", c.read_only, Empty::Omitted);
  visit("Consistency", c.consistency, Empty::Omitted);
  visit("IdMapping", c.id_mapping, Empty::Omitted);
  visit("BindOptions", c.bind_options, Empty::Omitted);
  visit("VolumeOptions", c.volume_options, Empty::Omitted);
  visit("TmpfsOptions", c.tmpfs_options, Empty::Omitted);
  visit("ImageOptions", c.image_options, Empty::Omitted);
}

template <class V>
void fields(V& visit, Resources& c) {
  visit("CpuShares", c.cpu_shares);
  visit("Memory", c.memory);
  visit("NanoCpus", c.nano_cpus);
  visit("CgroupParent", c.cgroup_parent);
  visit("BlkioWeight", c.blkio_weight);
  visit("BlkioWeightDevice", c.blkio_weight_device);
  visit("BlkioDeviceReadBps", c.blkio_device_read_bps);
  visit("BlkioDeviceWriteBps", c.blkio_device_write_bps);
  visit("BlkioDeviceReadIOps", c.blkio_device_read_iops);
  visit("BlkioDeviceWriteIOps", c.blkio_device_write_iops);
  visit("CpuPeriod", c.cpu_period);
  visit("CpuQuota", c.cpu_quota);
  visit("CpuRealtimePeriod", c.cpu_realtime_period);
  visit("CpuRealtimeRuntime", c.cpu_realtime_runtime);
  visit("CpusetCpus", c.cpuset_cpus);
  visit("CpusetMems", c.cpuset_mems);
  visit("Devices", c.devices);
  visit("DeviceCgroupRules", c.device_cgroup_rules, Empty::Null);
  visit("DeviceRequests", c.device_requests, Empty::Null);
  visit("MemoryReservation", c.memory_reservation);
  visit("MemorySwap", c.memory_swap);
  visit("MemorySwappiness", c.memory_swappiness);
  visit("OomKillDisable", c.oom_kill_disable);
  visit("PidsLimit", c.pids_limit);
  visit("Ulimits", c.ulimits);
}

template <class V>
void windows_fields(V& visit) {
  std::int64_t zero = 0;  // scripts that decode Docker's struct find them there
  visit("CpuCount", zero);
  visit("CpuPercent", zero);
  visit("IOMaximumIOps", zero);
  visit("IOMaximumBandwidth", zero);
}

template <class V>
void fields(V& visit, HostConfig& c) {
  visit("Binds", c.binds, Empty::Null);
  visit("ContainerIDFile", c.container_id_file);
  visit("LogConfig", c.log_config);
  visit("NetworkMode", c.network_mode);
  visit("PortBindings", c.port_bindings);
  visit("RestartPolicy", c.restart_policy);
  visit("AutoRemove", c.auto_remove);
  visit("VolumeDriver", c.volume_driver);
  visit("VolumesFrom", c.volumes_from, Empty::Null);
  visit("ConsoleSize", c.console_size);
  visit("Annotations", c.annotations, Empty::Omitted);
  visit("CapAdd", c.cap_add, Empty::Null);
  visit("CapDrop", c.cap_drop, Empty::Null);
  visit("CgroupnsMode", c.cgroupns_mode);
  visit("Dns", c.dns);
  visit("DnsOptions", c.dns_options);
  visit("DnsSearch", c.dns_search);
  visit("ExtraHosts", c.extra_hosts, Empty::Null);
  visit("GroupAdd", c.group_add, Empty::Null);
  visit("IpcMode", c.ipc_mode);
  visit("Cgroup", c.cgroup);
  visit("Links", c.links, Empty::Null);
  visit("OomScoreAdj", c.oom_score_adj);
  visit("PidMode", c.pid_mode);
  visit("Privileged", c.privileged);
  visit("PublishAllPorts", c.publish_all_ports);
  visit("ReadonlyRootfs", c.readonly_rootfs);
  visit("SecurityOpt", c.security_opt, Empty::Null);
  visit("StorageOpt", c.storage_opt, Empty::Omitted);
  visit("Tmpfs", c.tmpfs, Empty::Omitted);
  visit("UTSMode", c.uts_mode);
  visit("UsernsMode", c.userns_mode);
  visit("ShmSize", c.shm_size);
  visit("Sysctls", c.sysctls, Empty::Omitted);
  visit("Runtime", c.runtime);
  visit("Isolation", c.isolation);
  fields(visit, static_cast<Resources&>(c));
  windows_fields(visit);
  visit("Init", c.init, Empty::Omitted);
  visit("Mounts", c.mounts, Empty::Omitted);
  visit("MaskedPaths", c.masked_paths);
  visit("ReadonlyPaths", c.readonly_paths);
}

template <class V>
void fields(V& visit, EndpointIpamConfig& c) {
  visit("IPv4Address", c.ipv4_address, Empty::Omitted);
  visit("IPv6Address", c.ipv6_address, Empty::Omitted);
  visit("LinkLocalIPs", c.link_local_ips, Empty::Omitted);
}

template <class V>
void fields(V& visit, EndpointSettings& c) {
  visit("IPAMConfig", c.ipam_config);
  visit("Links", c.links, Empty::Null);
  visit("Aliases", c.aliases, Empty::Null);
  visit("MacAddress", c.mac_address);
  visit("DriverOpts", c.driver_opts, Empty::Null);
  visit("GwPriority", c.gw_priority);
  visit("NetworkID", c.network_id);
  visit("EndpointID", c.endpoint_id);
  visit("Gateway", c.gateway);
  visit("IPAddress", c.ip_address);
  visit("IPPrefixLen", c.ip_prefix_len);
  visit("IPv6Gateway", c.ipv6_gateway);
  visit("GlobalIPv6Address", c.global_ipv6_address);
  visit("GlobalIPv6PrefixLen", c.global_ipv6_prefix_len);
  visit("DNSNames", c.dns_names, Empty::Null);
}

template <class V>
void fields(V& visit, NetworkingConfig& c) {
  visit("EndpointsConfig", c.endpoints_config);
}

namespace {

template <typename T>
Json write_fields(const T& value, JsonForm form) {
  Json json;
  write_value(json, value, form == JsonForm::Compact);
  return json;
}

template <typename T>
T read_fields(const Json& json) {
  T value;
  read_value(json, value, "configuration");
  return value;
}

}  // namespace

Json to_json(const ContainerConfig& config, JsonForm form) { return write_fields(config, form); }
Json to_json(const HostConfig& config, JsonForm form) { return write_fields(config, form); }
Json to_json(const NetworkingConfig& config, JsonForm form) { return write_fields(config, form); }
Json to_json(const EndpointSettings& settings, JsonForm form) { return write_fields(settings, form); }
Json to_json(const HealthConfig& config, JsonForm form) { return write_fields(config, form); }
Json to_json(const PortMap& ports) { return write_fields(ports, JsonForm::Full); }

ContainerConfig container_config_from_json(const Json& json) { return read_fields<ContainerConfig>(json); }
HostConfig host_config_from_json(const Json& json) { return read_fields<HostConfig>(json); }
NetworkingConfig networking_config_from_json(const Json& json) { return read_fields<NetworkingConfig>(json); }
EndpointSettings endpoint_settings_from_json(const Json& json) { return read_fields<EndpointSettings>(json); }
HealthConfig health_config_from_json(const Json& json) { return read_fields<HealthConfig>(json); }

}  // namespace ctr
