#include "shim/protocol.h"

#include "base/error.h"

namespace ctr {

namespace {

/// A number from a file, inside the bounds of its field.
std::int32_t small_int(const Json& json, std::string_view key, std::int32_t otherwise = 0) {
  const std::int64_t value = json.int_or(key, otherwise);
  if (value < INT32_MIN || value > INT32_MAX) throw Error(ErrorKind::Invalid, std::string(key) + " is out of range");
  return static_cast<std::int32_t>(value);
}

Json paths_to_json(const std::vector<fs::path>& paths) {
  Json array = Json::array();
  for (const fs::path& path : paths) array.push_back(path.native());
  return array;
}

std::vector<fs::path> paths_from_json(const Json& json, std::string_view key) {
  std::vector<fs::path> paths;
  for (const Json& path : json.elements(key)) paths.emplace_back(path.as_string());
  return paths;
}

Json to_json(const LogSettings& log) {
  return Json::object({{"driver", log.driver}, {"max_size_bytes", log.max_size_bytes}, {"max_files", log.max_files}});
}

LogSettings log_settings_from_json(const Json& json) {
  LogSettings log;
  log.driver = json.string_or("driver", log.driver);
  log.max_size_bytes = json.int_or("max_size_bytes", log.max_size_bytes);
  log.max_files = small_int(json, "max_files", log.max_files);
  return log;
}

Json to_json(const HealthSettings& health) {
  return Json::object({{"argv", health.argv},
                       {"interval_ns", health.interval_ns},
                       {"timeout_ns", health.timeout_ns},
                       {"start_period_ns", health.start_period_ns},
                       {"start_interval_ns", health.start_interval_ns},
                       {"retries", health.retries}});
}

HealthSettings health_settings_from_json(const Json& json) {
  HealthSettings health;
  health.argv = json.strings("argv");
  health.interval_ns = json.int_or("interval_ns", health.interval_ns);
  health.timeout_ns = json.int_or("timeout_ns", health.timeout_ns);
  health.start_period_ns = json.int_or("start_period_ns", health.start_period_ns);
  health.start_interval_ns = json.int_or("start_interval_ns", health.start_interval_ns);
  health.retries = small_int(json, "retries", health.retries);
  return health;
}

Json to_json(const EventSettings& events) {
  Json attributes = Json::object();
  for (const auto& [name, value] : events.attributes) attributes[name] = value;
  return Json::object({{"file", events.file.native()}, {"attributes", attributes}});
}

EventSettings event_settings_from_json(const Json& json) {
  EventSettings events;
  events.file = json.string_or("file");
  for (const auto& [name, value] : json.members("attributes")) events.attributes.emplace_back(name, value.as_string());
  return events;
}

Json to_json(const OverlayMount& overlay) {
  return Json::object({{"lowers", paths_to_json(overlay.lowers)},
                       {"upper", overlay.upper.native()},
                       {"work", overlay.work.native()},
                       {"volatile", overlay.is_volatile},
                       {"userxattr", overlay.is_userxattr},
                       {"mount_namespace", overlay.mount_namespace.native()}});
}

OverlayMount overlay_from_json(const Json& json) {
  OverlayMount overlay;
  overlay.lowers = paths_from_json(json, "lowers");
  overlay.upper = json.string_or("upper");
  overlay.work = json.string_or("work");
  overlay.is_volatile = json.bool_or("volatile");
  overlay.is_userxattr = json.bool_or("userxattr");
  overlay.mount_namespace = json.string_or("mount_namespace");
  return overlay;
}

constexpr std::string_view kStatusNames[] = {"created", "running", "paused", "restarting", "removing", "exited"};

ShimStatus shim_status_from(std::string_view name) {
  for (std::size_t i = 0; i < std::size(kStatusNames); ++i) {
    if (kStatusNames[i] == name) return static_cast<ShimStatus>(i);
  }
  throw Error(ErrorKind::Corrupt, "unknown status in " + std::string(kStateFile) + ": " + std::string(name));
}

}  // namespace

Json to_json(const ShimSettings& settings) {
  Json json = Json::object(
      {{"id", settings.id},
       {"tty", settings.tty},
       {"open_stdin", settings.open_stdin},
       {"stdin_once", settings.stdin_once},
       {"auto_remove", settings.auto_remove},
       {"stop_signal", settings.stop_signal},
       {"stop_timeout_seconds", settings.stop_timeout_seconds},
       {"log", to_json(settings.log)},
       {"restart", Json::object({{"policy", settings.restart.policy}, {"max_retries", settings.restart.max_retries}})},
       {"events", to_json(settings.events)},
       {"layers_directory", settings.layers_directory.native()},
       {"seccomp_filter", settings.seccomp_filter.native()},
       {"ctr_program", settings.ctr_program.native()},
       {"cleanup_arguments", settings.cleanup_arguments},
       {"claims_while_running", paths_to_json(settings.claims_while_running)},
       {"claims_until_removed", paths_to_json(settings.claims_until_removed)}});
  if (settings.health) json["health"] = to_json(*settings.health);
  if (settings.root) json["root"] = to_json(*settings.root);
  return json;
}

ShimSettings shim_settings_from_json(const Json& json) {
  ShimSettings settings;
  settings.id = json.require_string("id");
  settings.tty = json.bool_or("tty");
  settings.open_stdin = json.bool_or("open_stdin");
  settings.stdin_once = json.bool_or("stdin_once");
  settings.auto_remove = json.bool_or("auto_remove");
  settings.stop_signal = json.string_or("stop_signal");
  settings.stop_timeout_seconds = small_int(json, "stop_timeout_seconds", settings.stop_timeout_seconds);
  if (const Json* log = json.find("log")) settings.log = log_settings_from_json(*log);
  if (const Json* restart = json.find("restart")) {
    settings.restart.policy = restart->string_or("policy", "no");
    settings.restart.max_retries = small_int(*restart, "max_retries");
  }
  const Json* health = json.find("health");
  if (health != nullptr && !health->is_null()) settings.health = health_settings_from_json(*health);
  if (const Json* events = json.find("events")) settings.events = event_settings_from_json(*events);
  const Json* root = json.find("root");
  if (root != nullptr && !root->is_null()) settings.root = overlay_from_json(*root);
  settings.layers_directory = json.string_or("layers_directory");
  settings.seccomp_filter = json.string_or("seccomp_filter");
  settings.ctr_program = json.string_or("ctr_program");
  settings.cleanup_arguments = json.strings("cleanup_arguments");
  settings.claims_while_running = paths_from_json(json, "claims_while_running");
  settings.claims_until_removed = paths_from_json(json, "claims_until_removed");
  return settings;
}

Json to_json(const ExecSettings& settings) {
  return Json::object({{"id", settings.id},
                       {"container_id", settings.container_id},
                       {"tty", settings.tty},
                       {"open_stdin", settings.open_stdin},
                       {"user", settings.user},
                       {"cgroup", settings.cgroup},
                       {"seccomp_filter", settings.seccomp_filter.native()},
                       {"events", to_json(settings.events)}});
}

ExecSettings exec_settings_from_json(const Json& json) {
  ExecSettings settings;
  settings.id = json.require_string("id");
  settings.container_id = json.require_string("container_id");
  settings.tty = json.bool_or("tty");
  settings.open_stdin = json.bool_or("open_stdin");
  settings.user = json.string_or("user");
  settings.cgroup = json.string_or("cgroup");
  settings.seccomp_filter = json.string_or("seccomp_filter");
  if (const Json* events = json.find("events")) settings.events = event_settings_from_json(*events);
  return settings;
}

std::string_view to_string(ShimStatus status) noexcept {
  return kStatusNames[static_cast<std::size_t>(status)];
}

Json to_json(const ShimState& state) {
  return Json::object({{"v", 1},
                       {"status", to_string(state.status)},
                       {"pid", state.pid},
                       {"pid_start_ticks", state.pid_start_ticks},
                       {"shim_pid", state.shim_pid},
                       {"started_at", state.started_at},
                       {"restart_count", state.restart_count},
                       {"health", state.health}});
}

ShimState shim_state_from_json(const Json& json) {
  ShimState state;
  state.status = shim_status_from(json.require_string("status"));
  state.pid = small_int(json, "pid");
  state.pid_start_ticks = static_cast<std::uint64_t>(json.int_or("pid_start_ticks"));
  state.shim_pid = small_int(json, "shim_pid");
  state.started_at = json.string_or("started_at");
  state.restart_count = small_int(json, "restart_count");
  state.health = json.string_or("health");
  return state;
}

Json to_json(const ProcessExit& exit) {
  return Json::object({{"v", 1},
                       {"exit_code", exit.exit_code},
                       {"oom_killed", exit.oom_killed},
                       {"error", exit.error},
                       {"started_at", exit.started_at},
                       {"finished_at", exit.finished_at},
                       {"restart_count", exit.restart_count},
                       {"stopped_by_request", exit.stopped_by_request}});
}

ProcessExit process_exit_from_json(const Json& json) {
  ProcessExit exit;
  exit.exit_code = small_int(json, "exit_code");
  exit.oom_killed = json.bool_or("oom_killed");
  exit.error = json.string_or("error");
  exit.started_at = json.string_or("started_at");
  exit.finished_at = json.string_or("finished_at");
  exit.restart_count = small_int(json, "restart_count");
  exit.stopped_by_request = json.bool_or("stopped_by_request");
  return exit;
}

Json to_json(const HealthReport& report) {
  Json log = Json::array();
  for (const ProbeResult& probe : report.log) {
    log.push_back(Json::object(
        {{"start", probe.start}, {"end", probe.end}, {"exit_code", probe.exit_code}, {"output", probe.output}}));
  }
  return Json::object(
      {{"v", 1}, {"status", report.status}, {"failing_streak", report.failing_streak}, {"log", std::move(log)}});
}

HealthReport health_report_from_json(const Json& json) {
  HealthReport report;
  report.status = json.string_or("status");
  report.failing_streak = small_int(json, "failing_streak");
  for (const Json& probe : json.elements("log")) {
    report.log.push_back(
        {probe.string_or("start"), probe.string_or("end"), small_int(probe, "exit_code"), probe.string_or("output")});
  }
  return report;
}

}  // namespace ctr
