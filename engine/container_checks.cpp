#include "engine/container_checks.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/error.h"
#include "base/process.h"
#include "base/task_pool.h"
#include "base/text.h"
#include "base/user_namespace.h"
#include "engine/cpu_list.h"
#include "engine/make_spec.h"
#include "runtime/cgroup_layout.h"
#include "runtime/port_binding.h"

namespace ctr {
namespace {

constexpr std::int64_t kMinimumMemory = 6 * 1024 * 1024;
constexpr double kNanosPerCpu = 1e9;

[[noreturn]] void refuse(const std::string& sentence) { throw Error(ErrorKind::Invalid, sentence); }

void check_memory(const Resources& r) {
  if (r.memory < 0 || (r.memory > 0 && r.memory < kMinimumMemory)) refuse("Minimum memory limit allowed is 6MB");
  if (r.memory > 0 && r.memory_swap > 0 && r.memory_swap < r.memory) {
    refuse("Minimum memoryswap limit should be larger than memory limit, see usage");
  }
  if (r.memory == 0 && r.memory_swap > 0) {
    refuse("You should always set the Memory limit when using Memoryswap limit, see usage");
  }
  if (r.memory_swappiness && (*r.memory_swappiness < -1 || *r.memory_swappiness > 100)) {
    refuse("Invalid value: " + std::to_string(*r.memory_swappiness) + ", valid memory swappiness range is 0-100");
  }
  if (r.memory_reservation > 0 && r.memory_reservation < kMinimumMemory) {
    refuse("Minimum memory reservation allowed is 6MB");
  }
  if (r.memory > 0 && r.memory_reservation > 0 && r.memory < r.memory_reservation) {
    refuse("Minimum memory limit can not be less than memory reservation limit, see usage");
  }
}

void check_cpuset(const Resources& r) {
  if (r.cpuset_cpus.empty()) return;
  const std::optional<std::vector<int>> wanted = parse_cpu_list(r.cpuset_cpus);
  if (!wanted) refuse("Invalid value " + r.cpuset_cpus + " for cpuset cpus");
  const std::vector<int> available = usable_cpus();
  for (const int cpu : *wanted) {
    if (std::find(available.begin(), available.end(), cpu) != available.end()) continue;
    refuse("Requested CPUs are not available - requested " + r.cpuset_cpus + ", available: " + format_cpu_list(available));
  }
}

void check_cpu(const Resources& r) {
  if (r.nano_cpus > 0 && r.cpu_period > 0) refuse("Conflicting options: Nano CPUs and CPU Period cannot both be set");
  if (r.nano_cpus > 0 && r.cpu_quota > 0) refuse("Conflicting options: Nano CPUs and CPU Quota cannot both be set");
  const std::size_t cpus = usable_cpus().size();
  if (r.nano_cpus < 0 || static_cast<double>(r.nano_cpus) > static_cast<double>(cpus) * kNanosPerCpu) {
    refuse("Range of CPUs is from 0.01 to " + std::to_string(cpus) + ".00, as there are only " + std::to_string(cpus) +
           " CPUs available");
  }
  if (r.cpu_period != 0 && (r.cpu_period < 1000 || r.cpu_period > 1'000'000)) {
    refuse("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)");
  }
  if (r.cpu_quota > 0 && r.cpu_quota < 1000) refuse("CPU cfs quota can not be less than 1ms (i.e. 1000)");
  if (r.cpu_shares < 0) refuse("invalid CPU shares (" + std::to_string(r.cpu_shares) + "): value must be a positive integer");
  check_cpuset(r);
  if (!r.cpuset_mems.empty() && !parse_cpu_list(r.cpuset_mems)) {
    refuse("Invalid value " + r.cpuset_mems + " for cpuset mems");
  }
}

/// "memory, cpu": what a cgroup would have to limit.
std::string limits_asked(const Resources& r) {
  std::vector<std::string> names;
  if (r.memory > 0 || r.memory_reservation > 0) names.emplace_back("memory");
  if (r.nano_cpus > 0 || r.cpu_quota > 0 || r.cpu_shares > 0) names.emplace_back("cpu");
  if (!r.cpuset_cpus.empty() || !r.cpuset_mems.empty()) names.emplace_back("cpuset");
  if (r.pids_limit.value_or(0) > 0) names.emplace_back("pids");
  if (r.blkio_weight > 0 || !r.blkio_device_read_bps.empty() || !r.blkio_device_write_bps.empty()) names.emplace_back("io");
  return join(names, ", ");
}

void check_device_request(const DeviceRequest& request) {
  std::vector<std::string> groups;
  for (const StringList& group : request.capabilities) groups.push_back("[" + join(group, " ") + "]");
  refuse("could not select device driver \"" + request.driver + "\" with capabilities: [" + join(groups, " ") + "]");
}

void check_modes(const ContainerConfig& config, const HostConfig& host) {
  const bool joins_network = host.network_mode.starts_with("container:");
  if (joins_network && !host.port_bindings.empty()) {
    refuse("conflicting options: port publishing and the container type network mode");
  }
  if (joins_network && !config.hostname.empty()) {
    refuse("conflicting options: hostname and the network mode");
  }
  if (host.uts_mode == "host" && !config.hostname.empty()) refuse("conflicting options: hostname and the UTS mode");
  const std::string& ipc = host.ipc_mode;
  if (!ipc.empty() && ipc != "host" && ipc != "none" && ipc != "private" && ipc != "shareable" &&
      !ipc.starts_with("container:")) {
    refuse("invalid IPC mode: " + ipc);
  }
  const std::string& pid = host.pid_mode;
  if (!pid.empty() && pid != "host" && pid != "private" && !pid.starts_with("container:")) refuse("invalid PID mode: " + pid);
  if (!host.uts_mode.empty() && host.uts_mode != "host" && host.uts_mode != "private") {
    refuse("invalid UTS mode: " + host.uts_mode);
  }
  if (!host.cgroupns_mode.empty() && host.cgroupns_mode != "host" && host.cgroupns_mode != "private") {
    refuse("invalid cgroup namespace mode: " + host.cgroupns_mode);
  }
  if (host.userns_mode == "keep-id") {
    if (invoking_user() == 0) refuse("--userns=keep-id is for ordinary users: root keeps its id anyway");
  } else if (!host.userns_mode.empty() && host.userns_mode != "host") {
    throw Error(ErrorKind::Unavailable, "user namespaces are not supported yet: --userns=" + host.userns_mode);
  }
}

[[noreturn]] void refuse_links() {
  throw Error(ErrorKind::Unavailable, "--link is not supported: containers of one network find each other by name");
}

void check_host_words(const HostConfig& host) {
  const std::string& runtime = host.runtime;
  if (!runtime.empty() && runtime != "ctr" && runtime != "runc" && runtime != "io.containerd.runc.v2") {
    refuse("unknown or invalid runtime name: " + runtime);
  }
  if (!host.isolation.empty() && host.isolation != "default") refuse("invalid isolation: " + host.isolation);
  if (!host.storage_opt.empty()) {
    throw Error(ErrorKind::Unavailable, "--storage-opt is not supported: a container's layer has no size limit here");
  }
  if (!host.links.empty()) refuse_links();
  for (const auto& [port, bindings] : host.port_bindings) {
    if (port.ends_with("/sctp")) throw Error(ErrorKind::Unavailable, "port " + port + ": sctp is not supported yet");
  }
  if (!host.volume_driver.empty() && host.volume_driver != "local") {
    refuse("error looking up volume plugin " + host.volume_driver + ": plugin \"" + host.volume_driver + "\" not found");
  }
  const std::string& log = host.log_config.type;
  if (!log.empty() && log != "json-file" && log != "local" && log != "none") {
    refuse("logger: no log driver named '" + log + "' is registered");
  }
}

void check_health(const HealthConfig& health) {
  constexpr std::int64_t kMinimum = 1'000'000;
  const auto check = [](std::int64_t value, const char* name) {
    if (value != 0 && value < kMinimum) refuse(std::string(name) + " in Healthcheck cannot be less than 1ms");
  };
  check(health.interval_ns, "Interval");
  check(health.timeout_ns, "Timeout");
  check(health.start_period_ns, "StartPeriod");
  check(health.start_interval_ns, "StartInterval");
  if (health.retries < 0) refuse("Retries in Healthcheck cannot be negative");
}

}  // namespace

void check_endpoint(const EndpointSettings& settings) {
  if (!settings.links.empty()) refuse_links();
  if (settings.ipam_config && !settings.ipam_config->link_local_ips.empty()) {
    throw Error(ErrorKind::Unavailable, "--link-local-ip is not supported");
  }
  for (const auto& [key, value] : settings.driver_opts) {
    if (key == kInterfaceNameOption) continue;
    throw Error(ErrorKind::Unavailable, "driver-opt " + key + " is not supported; known: " + kInterfaceNameOption);
  }
}

void check_networking(const ContainerConfig& asked, const HostConfig& host, const NetworkingConfig& networking) {
  for (const auto& [name, settings] : networking.endpoints_config) check_endpoint(settings);
  const NetworkMode mode = network_mode_of(host);
  if (mode == NetworkMode::Networks) return;
  for (const auto& [name, settings] : networking.endpoints_config) {
    if (!settings.aliases.empty()) {
      refuse("conflicting options: network-scoped aliases are only supported for networks: " + host.network_mode);
    }
    if (settings.ipam_config) refuse("conflicting options: an IP address can be asked of networks only: " + host.network_mode);
  }
  if (mode != NetworkMode::None && !asked.mac_address.empty()) {
    refuse("conflicting options: mac-address and the network mode");
  }
  if (mode != NetworkMode::Container) return;
  if (!host.dns.empty()) refuse("conflicting options: dns and the network mode");
  if (!host.extra_hosts.empty()) refuse("conflicting options: custom host-to-IP mapping and the network mode");
  if (host.publish_all_ports) refuse("conflicting options: port publishing and the container type network mode");
  if (!asked.exposed_ports.empty()) refuse("conflicting options: port exposing and the container type network mode");
}

void check_restart_policy(const RestartPolicy& policy) {
  const std::string& name = policy.name;
  if (policy.maximum_retry_count < 0) {
    refuse("invalid restart policy: maximum retry count cannot be negative");
  }
  if (name.empty() || name == "no" || name == "always" || name == "unless-stopped" || name == "on-unhealthy") {
    if (policy.maximum_retry_count != 0) {
      refuse("invalid restart policy: maximum retry count can only be used with 'on-failure'");
    }
    return;
  }
  if (name == "on-failure") return;
  refuse("invalid restart policy: unknown policy '" + name +
         "'; use one of 'no', 'always', 'on-failure', 'unless-stopped' or 'on-unhealthy'");
}

std::vector<std::string> check_resources(const Resources& resources) {
  check_memory(resources);
  check_cpu(resources);
  if (resources.blkio_weight != 0 && (resources.blkio_weight < 10 || resources.blkio_weight > 1000)) {
    refuse("Range of blkio weight is from 10 to 1000");
  }
  std::vector<std::string> warnings;
  if (const std::string limits = limits_asked(resources); !limits.empty() && cgroup_mounts().hierarchies.empty()) {
    warnings.push_back(limits + " cannot be limited and is not: no cgroup was delegated to this user; as root: loginctl "
                                "enable-linger, then start ctr with systemd-run --user --scope");
  }
  if (resources.oom_kill_disable.value_or(false) && resources.memory == 0) {
    warnings.emplace_back(
        "OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out "
        "of resources.");
  }
  return warnings;
}

std::vector<std::string> check_container(const ContainerConfig& config, const HostConfig& host) {
  std::vector<std::string> warnings = check_resources(host);
  check_restart_policy(host.restart_policy);
  if (host.auto_remove && !host.restart_policy.name.empty() && host.restart_policy.name != "no") {
    refuse("can't create 'AutoRemove' container with restart policy");
  }
  if (host.oom_score_adj < -1000 || host.oom_score_adj > 1000) {
    refuse("Invalid value " + std::to_string(host.oom_score_adj) + ", range for oom score adj is [-1000, 1000]");
  }
  if (host.shm_size < 0) refuse("SHM size can not be less than 0");
  if (!config.working_dir.empty() && config.working_dir.front() != '/') {
    refuse("the working directory '" + config.working_dir + "' is invalid, it needs to be an absolute path");
  }
  if (!config.stop_signal.empty() && !parse_signal(config.stop_signal)) refuse("invalid signal: " + config.stop_signal);
  for (const std::string& variable : config.env) {
    if (variable.empty() || variable.front() == '=') refuse("invalid environment variable: " + variable);
  }
  if (config.healthcheck) check_health(*config.healthcheck);
  for (const std::string& port : config.exposed_ports) parse_exposed_ports(port);
  for (const DeviceRequest& request : host.device_requests) check_device_request(request);
  check_modes(config, host);
  check_host_words(host);
  if (host.network_mode == "host" && (!host.port_bindings.empty() || host.publish_all_ports)) {
    warnings.emplace_back("Published ports are discarded when using host network mode");
  }
  return warnings;
}

}  // namespace ctr
