#include "cli/container_options.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/file.h"
#include "base/text.h"
#include "cli/client_config.h"
#include "cli/device_options.h"
#include "cli/mount_option.h"
#include "cli/network_options.h"

namespace ctr {

namespace {

[[noreturn]] void refuse(std::string_view flag, const std::string& value, const std::string& why) {
  throw UsageError("invalid argument \"" + value + "\" for \"--" + std::string(flag) + "\" flag: " + why);
}

std::int64_t duration_option(const ParsedFlags& flags, std::string_view name) {
  const auto text = flags.find_text(name);
  if (!text) return 0;
  const auto duration = parse_duration(*text);
  if (!duration || duration->count() < 0) refuse(name, *text, "not a duration such as 30s or 1m30s");
  if (duration->count() != 0 && *duration < std::chrono::milliseconds(1)) refuse(name, *text, "less than 1ms");
  return duration->count();
}

std::optional<HealthConfig> health_option(const ParsedFlags& flags) {
  HealthConfig health;
  if (flags.on("no-healthcheck")) {
    for (const char* other : {"health-cmd", "health-interval", "health-timeout", "health-start-period", "health-retries"}) {
      if (flags.given(other)) throw UsageError("--no-healthcheck conflicts with --health-* options");
    }
    health.test = {"NONE"};
    return health;
  }
  if (const auto command = flags.find_text("health-cmd")) health.test = {"CMD-SHELL", *command};
  health.interval_ns = duration_option(flags, "health-interval");
  health.timeout_ns = duration_option(flags, "health-timeout");
  health.start_period_ns = duration_option(flags, "health-start-period");
  health.start_interval_ns = duration_option(flags, "health-start-interval");
  health.retries = flags.integer("health-retries");
  if (health.retries < 0) throw UsageError("--health-retries cannot be negative");
  const bool is_set = !health.test.empty() || health.interval_ns != 0 || health.timeout_ns != 0 ||
                      health.start_period_ns != 0 || health.start_interval_ns != 0 || health.retries != 0;
  return is_set ? std::optional(health) : std::nullopt;
}

/// Which streams the client wants: -a, or both outputs and with -i the input, unless detached.
void fill_streams(const ParsedFlags& flags, ContainerConfig& config) {
  config.tty = flags.on("tty");
  config.open_stdin = flags.on("interactive");
  const bool is_detached = flags.given("detach") && flags.on("detach");
  if (flags.given("attach")) {
    for (const std::string& stream : flags.list("attach")) {
      const std::string name = lower(stream);
      if (name != "stdin" && name != "stdout" && name != "stderr") {
        refuse("attach", stream, "valid streams are STDIN, STDOUT and STDERR");
      }
      config.attach_stdin |= name == "stdin";
      config.attach_stdout |= name == "stdout";
      config.attach_stderr |= name == "stderr";
    }
    if (is_detached) throw UsageError("conflicting options: cannot specify both --attach and --detach");
  } else if (!is_detached) {
    config.attach_stdout = true;
    config.attach_stderr = true;
    config.attach_stdin = config.open_stdin;
  }
  config.stdin_once = config.open_stdin && config.attach_stdin;
}

/// What config.json says about proxies, for variables that --env and --env-file don't name.
void add_proxies(std::vector<std::string>& environment, const std::vector<std::string>& named) {
  const auto is_about = [](const std::string& entry, const std::string& name) {
    return entry.substr(0, entry.find('=')) == name;
  };
  for (const auto& proxy : client_config_proxies()) {
    const auto is_same = [&](const std::string& entry) { return is_about(entry, proxy.first); };
    if (std::any_of(named.begin(), named.end(), is_same)) continue;
    if (std::any_of(environment.begin(), environment.end(), is_same)) continue;
    environment.push_back(proxy.first + "=" + proxy.second);
  }
}

ContainerConfig config_of(const ParsedFlags& flags) {
  ContainerConfig config;
  config.image = flags.arguments().front();
  if (flags.arguments().size() > 1) config.cmd = StringList(flags.arguments().begin() + 1, flags.arguments().end());
  fill_streams(flags, config);
  config.hostname = flags.text("hostname");
  config.domainname = flags.text("domainname");
  config.user = flags.text("user");
  config.working_dir = flags.text("workdir");
  config.env = environment_option(flags.list("env-file"), flags.list("env"));
  add_proxies(config.env, flags.list("env"));
  if (const auto entrypoint = flags.find_text("entrypoint")) config.entrypoint = StringList{*entrypoint};
  std::vector<std::string> labels;
  for (const std::string& file : flags.list("label-file")) {
    for (std::string& line : read_environment_file(file)) labels.push_back(std::move(line));
  }
  labels.insert(labels.end(), flags.list("label").begin(), flags.list("label").end());
  config.labels = label_map(labels);
  config.stop_signal = flags.text("stop-signal");
  if (flags.given("stop-timeout")) config.stop_timeout = flags.integer("stop-timeout");
  config.healthcheck = health_option(flags);
  config.mac_address = flags.text("mac-address");
  return config;
}

StringMap option_map(const ParsedFlags& flags, std::string_view name) {
  StringMap map;
  for (const std::string& text : flags.list(name)) {
    const auto pair = cut(text, '=');
    if (!pair || pair->first.empty()) refuse(name, text, "not of the form key=value");
    map[pair->first] = pair->second;
  }
  return map;
}

void fill_security(const ParsedFlags& flags, HostConfig& host) {
  host.cap_add = flags.list("cap-add");
  host.cap_drop = flags.list("cap-drop");
  host.security_opt = flags.list("security-opt");
  host.privileged = flags.on("privileged");
  host.readonly_rootfs = flags.on("read-only");
  host.pid_mode = flags.text("pid");
  host.ipc_mode = flags.text("ipc");
  host.uts_mode = flags.text("uts");
  host.userns_mode = flags.text("userns");
  host.cgroupns_mode = flags.text("cgroupns");
  host.group_add = flags.list("group-add");
  host.sysctls = option_map(flags, "sysctl");
}

void fill_resources(const ParsedFlags& flags, HostConfig& host) {
  host.cgroup_parent = flags.text("cgroup-parent");
  host.memory = size_option(flags, "memory");
  host.memory_reservation = size_option(flags, "memory-reservation");
  host.memory_swap = size_option(flags, "memory-swap");
  if (flags.given("memory-swappiness")) host.memory_swappiness = flags.integer("memory-swappiness");
  if (flags.given("oom-kill-disable")) host.oom_kill_disable = flags.on("oom-kill-disable");
  if (const auto cpus = flags.find_text("cpus")) host.nano_cpus = cpus_option(*cpus);
  host.cpu_period = flags.integer("cpu-period");
  host.cpu_quota = flags.integer("cpu-quota");
  host.cpu_realtime_period = flags.integer("cpu-rt-period");
  host.cpu_realtime_runtime = flags.integer("cpu-rt-runtime");
  host.cpu_shares = flags.integer("cpu-shares");
  host.cpuset_cpus = flags.text("cpuset-cpus");
  host.cpuset_mems = flags.text("cpuset-mems");
  if (flags.given("pids-limit")) host.pids_limit = flags.integer("pids-limit");
  host.oom_score_adj = flags.integer("oom-score-adj");
  for (const std::string& text : flags.list("ulimit")) host.ulimits.push_back(parse_ulimit(text));
  fill_device_options(flags, host);
}

void fill_storage(const ParsedFlags& flags, ContainerConfig& config, HostConfig& host) {
  for (const std::string& text : flags.list("volume")) add_volume_option(text, config, host);
  for (const std::string& text : flags.list("mount")) host.mounts.push_back(parse_mount_option(text));
  for (const std::string& text : flags.list("tmpfs")) {
    const auto pair = cut(text, ':');
    host.tmpfs[pair ? pair->first : text] = pair ? pair->second : "";
  }
  host.shm_size = size_option(flags, "shm-size");
  host.volumes_from = flags.list("volumes-from");
  host.volume_driver = flags.text("volume-driver");
  host.storage_opt = option_map(flags, "storage-opt");
}

HostConfig host_config_of(const ParsedFlags& flags, ContainerConfig& config) {
  HostConfig host;
  host.auto_remove = flags.on("rm");
  host.restart_policy = parse_restart_policy(flags.text("restart"));
  if (host.auto_remove && !host.restart_policy.name.empty() && host.restart_policy.name != "no") {
    throw UsageError("conflicting options: cannot specify both --restart and --rm");
  }
  if (flags.given("init")) host.init = flags.on("init");
  host.container_id_file = flags.text("cidfile");
  host.log_config.type = flags.text("log-driver");
  host.log_config.config = option_map(flags, "log-opt");
  host.annotations = option_map(flags, "annotation");
  host.isolation = flags.text("isolation");
  host.runtime = flags.text("runtime");
  fill_security(flags, host);
  fill_resources(flags, host);
  fill_storage(flags, config, host);
  return host;
}

}  // namespace

PullWhen pull_policy(const ParsedFlags& flags) {
  const std::string& policy = flags.text("pull");
  if (policy == "always") return PullWhen::Always;
  if (policy == "never") return PullWhen::Never;
  if (policy == "missing") return PullWhen::Missing;
  refuse("pull", policy, "must be one of \"always\", \"missing\" or \"never\"");
}

std::optional<Platform> platform_option(const ParsedFlags& flags) {
  std::string text = flags.text("platform");
  if (text.empty()) {
    const char* configured = std::getenv("DOCKER_DEFAULT_PLATFORM");
    text = configured != nullptr ? configured : "";
  }
  return text.empty() ? std::nullopt : std::optional(parse_platform(text));
}

CreateRequest container_request(const ParsedFlags& flags) {
  CreateRequest request;
  request.name = flags.text("name");
  if (flags.given("name") && request.name.empty()) throw UsageError("a container's name cannot be empty");
  request.config = config_of(flags);
  request.host = host_config_of(flags, request.config);
  fill_network_options(flags, request);
  request.platform = platform_option(flags);
  return request;
}

std::vector<std::string> read_environment_file(const std::string& path) {
  std::vector<std::string> entries;
  const std::string text = read_file(path, 16 * kMiB);
  int number = 0;
  for (const std::string& raw : split(without_prefix(text, "\xEF\xBB\xBF"), '\n')) {
    ++number;
    const std::string_view line = trim(std::string_view(raw).substr(0, raw.ends_with('\r') ? raw.size() - 1 : raw.size()));
    if (line.empty() || line.starts_with('#')) continue;
    const auto pair = cut(line, '=');
    const std::string name = pair ? pair->first : std::string(line);
    if (name.empty() || name.find_first_of(" \t") != std::string::npos) {
      throw Error(ErrorKind::Invalid, path + ":" + std::to_string(number) + ": variable '" + name +
                                          "' has " + (name.empty() ? "no name" : "blanks in its name"));
    }
    entries.emplace_back(line);
  }
  return entries;
}

std::vector<std::string> environment_option(const std::vector<std::string>& files, const std::vector<std::string>& values) {
  std::vector<std::string> wanted;
  for (const std::string& file : files) {
    for (std::string& entry : read_environment_file(file)) wanted.push_back(std::move(entry));
  }
  for (const std::string& value : values) {
    if (value.empty() || value.starts_with('=')) refuse("env", value, "invalid environment variable");
    wanted.push_back(value);
  }
  std::vector<std::string> environment;
  for (std::string& entry : wanted) {
    if (entry.find('=') == std::string::npos) {
      const char* value = std::getenv(entry.c_str());
      if (value == nullptr) continue;
      entry += std::string("=") + value;
    }
    const std::string name = entry.substr(0, entry.find('=') + 1);
    std::erase_if(environment, [&](const std::string& other) { return other.starts_with(name); });
    environment.push_back(std::move(entry));
  }
  return environment;
}

StringMap label_map(const std::vector<std::string>& labels) {
  StringMap map;
  for (const std::string& label : labels) {
    const auto pair = cut(label, '=');
    const std::string& key = pair ? pair->first : label;
    if (key.empty()) refuse("label", label, "a label needs a name");
    map[key] = pair ? pair->second : "";
  }
  return map;
}

Ulimit parse_ulimit(const std::string& text) {
  static const std::vector<std::string> kNames = {"as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue",
                                                  "nice", "nofile", "nproc", "rss", "rtprio", "rttime", "sigpending", "stack"};
  const auto pair = cut(text, '=');
  if (!pair) refuse("ulimit", text, "not of the form name=soft[:hard]");
  Ulimit limit;
  limit.name = pair->first;
  if (std::find(kNames.begin(), kNames.end(), limit.name) == kNames.end()) {
    refuse("ulimit", text, "invalid ulimit type: " + limit.name);
  }
  const auto values = split(pair->second, ':');
  const auto soft = values.front() == "unlimited" ? std::optional<std::int64_t>(-1) : parse_int(values.front());
  const auto hard = values.size() < 2 ? soft : values[1] == "unlimited" ? std::optional<std::int64_t>(-1) : parse_int(values[1]);
  if (!soft || !hard || values.size() > 2) refuse("ulimit", text, "limits must be whole numbers or unlimited");
  limit.soft = *soft;
  limit.hard = *hard;
  if (limit.hard != -1 && (limit.soft > limit.hard || limit.soft == -1)) {
    refuse("ulimit", text, "the soft limit must not be above the hard limit");
  }
  return limit;
}

std::int64_t size_option(const ParsedFlags& flags, std::string_view name) {
  const auto text = flags.find_text(name);
  if (!text) return 0;
  if (*text == "-1" && name == "memory-swap") return -1;
  const auto size = parse_size(*text);
  if (!size) refuse(name, *text, "not a size such as 512m or 1g");
  return *size;
}

RestartPolicy parse_restart_policy(const std::string& text) {
  RestartPolicy policy;
  const auto pair = cut(text, ':');
  policy.name = pair ? pair->first : text;
  static const std::vector<std::string> kNames = {"", "no", "always", "unless-stopped", "on-failure", "on-unhealthy"};
  if (std::find(kNames.begin(), kNames.end(), policy.name) == kNames.end()) {
    refuse("restart", text, "unknown policy '" + policy.name + "'; use one of 'no', 'always', 'on-failure', 'on-unhealthy', or 'unless-stopped'");
  }
  if (pair) {
    const auto count = parse_int(pair->second);
    if (!count) refuse("restart", text, "maximum retry count must be an integer");
    if (*count < 0) refuse("restart", text, "maximum retry count cannot be negative");
    if (policy.name != "on-failure") refuse("restart", text, "maximum retry count can only be used with 'on-failure'");
    policy.maximum_retry_count = *count;
  }
  return policy;
}

std::int64_t cpus_option(const std::string& text) {
  const auto cpus = parse_double(text);
  if (!cpus || *cpus < 0 || *cpus > 1e6) refuse("cpus", text, "not a number of CPUs such as 1.5");
  return std::llround(*cpus * 1e9);
}

}  // namespace ctr
