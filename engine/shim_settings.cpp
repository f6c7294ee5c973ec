#include "engine/shim_settings.h"

#include "base/error.h"
#include "base/process.h"
#include "base/text.h"
#include "engine/security_options.h"

namespace ctr {
namespace {

std::int64_t log_size(const std::string& text) {
  if (text == "-1") return 0;
  const std::optional<std::int64_t> size = parse_size(text);
  if (!size || *size <= 0) throw Error(ErrorKind::Invalid, "invalid value for max-size: '" + text + "'");
  return *size;
}

std::int32_t log_files(const std::string& text) {
  const std::optional<std::int64_t> files = parse_int(text);
  if (!files || *files < 1 || *files > 1000) throw Error(ErrorKind::Invalid, "max-file cannot be less than 1");
  return static_cast<std::int32_t>(*files);
}

LogSettings log_settings(const LogConfig& config) {
  LogSettings settings;
  settings.driver = config.type;
  for (const auto& [key, value] : config.config) {
    if (key == "max-size") {
      settings.max_size_bytes = log_size(value);
    } else if (key == "max-file") {
      settings.max_files = log_files(value);
    } else if (key != "mode" && key != "max-buffer-size" && key != "compress" && key != "labels" && key != "env" &&
               key != "tag" && key != "labels-regex" && key != "env-regex") {
      throw Error(ErrorKind::Invalid, "unknown log opt '" + key + "' for " + config.type + " log driver");
    }
  }
  return settings;
}

std::optional<HealthSettings> health_settings(const ContainerConfig& config) {
  if (!config.healthcheck || config.healthcheck->test.empty()) return std::nullopt;
  const HealthConfig& health = *config.healthcheck;
  const std::string& kind = health.test.front();
  HealthSettings settings;
  if (kind == "CMD") {
    settings.argv.assign(health.test.begin() + 1, health.test.end());
  } else if (kind == "CMD-SHELL" && health.test.size() == 2) {
    settings.argv = config.shell.empty() ? StringList{"/bin/sh", "-c"} : config.shell;
    settings.argv.push_back(health.test[1]);
  }
  if (settings.argv.empty()) return std::nullopt;  // NONE
  if (health.interval_ns != 0) settings.interval_ns = health.interval_ns;
  if (health.timeout_ns != 0) settings.timeout_ns = health.timeout_ns;
  settings.start_period_ns = health.start_period_ns;
  if (health.start_interval_ns != 0) settings.start_interval_ns = health.start_interval_ns;
  if (health.retries != 0) settings.retries = static_cast<std::int32_t>(health.retries);
  return settings;
}

}  // namespace

StringMap event_attributes(const ContainerRecord& record) {
  StringMap attributes = record.config.labels;
  attributes["image"] = record.config.image;
  attributes["name"] = record.name;
  return attributes;
}

void set_shim_settings(const Context& context, ContainerRecord& record) {
  const Paths& paths = context.paths();
  const std::string& parent =
      record.host.cgroup_parent.empty() ? context.configuration().cgroup_parent : record.host.cgroup_parent;
  record.cgroup_path = (parent.starts_with('/') ? parent : "/" + parent) + "/" + record.id;
  ShimSettings& shim = record.shim;
  shim.id = record.id;
  shim.tty = record.config.tty;
  shim.open_stdin = record.config.open_stdin;
  shim.stdin_once = record.config.stdin_once;
  shim.auto_remove = record.host.auto_remove;
  shim.stop_signal = record.config.stop_signal;
  shim.stop_timeout_seconds = static_cast<std::int32_t>(
      record.config.stop_timeout.value_or(context.configuration().stop_timeout_seconds));
  shim.log = log_settings(record.host.log_config);
  shim.restart.policy = record.host.restart_policy.name;
  shim.restart.max_retries = static_cast<std::int32_t>(record.host.restart_policy.maximum_retry_count);
  shim.health = health_settings(record.config);
  shim.events.file = paths.root / "events.jsonl";
  const StringMap attributes = event_attributes(record);
  shim.events.attributes.assign(attributes.begin(), attributes.end());
  shim.ctr_program = own_program_directory() / fs::read_symlink("/proc/self/exe").filename();
  record.ctr_path = shim.ctr_program;
  shim.cleanup_arguments = {"--root", paths.root};
  shim.claims_until_removed = {paths.root / "container-names" / record.name};
}

}  // namespace ctr
