#include "engine/merge_config.h"

#include <algorithm>
#include <string_view>

#include "base/error.h"
#include "runtime/spec_defaults.h"

namespace ctr {
namespace {

std::string_view variable_name(std::string_view variable) { return variable.substr(0, variable.find('=')); }

bool has_variable(const StringList& env, std::string_view name) {
  return std::any_of(env.begin(), env.end(), [&](const std::string& entry) { return variable_name(entry) == name; });
}

void unite(std::vector<std::string>& list, const std::set<std::string>& more) {
  for (const std::string& element : more) {
    if (std::find(list.begin(), list.end(), element) == list.end()) list.push_back(element);
  }
}

/// A user's --health-* flags change single members of the image's check.
void merge_health(ContainerConfig& user, const Healthcheck& image) {
  const HealthConfig base = health_config_of(image);
  if (!user.healthcheck) {
    user.healthcheck = base;
    return;
  }
  HealthConfig& health = *user.healthcheck;
  if (health.test.empty()) health.test = base.test;
  if (health.interval_ns == 0) health.interval_ns = base.interval_ns;
  if (health.timeout_ns == 0) health.timeout_ns = base.timeout_ns;
  if (health.start_period_ns == 0) health.start_period_ns = base.start_period_ns;
  if (health.start_interval_ns == 0) health.start_interval_ns = base.start_interval_ns;
  if (health.retries == 0) health.retries = base.retries;
}

void merge_command(ContainerConfig& user, const ContainerDefaults& image) {
  const bool has_entrypoint = user.entrypoint && !user.entrypoint->empty();
  if (!has_entrypoint) {
    if (!user.cmd || user.cmd->empty()) user.cmd = image.cmd;
    if (!user.entrypoint) user.entrypoint = image.entrypoint;
  } else if (user.entrypoint->size() == 1 && user.entrypoint->front().empty()) {
    user.entrypoint.reset();  // --entrypoint "" takes the image's away
  }
}

}  // namespace

HealthConfig health_config_of(const Healthcheck& healthcheck) {
  HealthConfig health;
  health.test = healthcheck.test;
  health.interval_ns = healthcheck.interval.count();
  health.timeout_ns = healthcheck.timeout.count();
  health.start_period_ns = healthcheck.start_period.count();
  health.start_interval_ns = healthcheck.start_interval.count();
  health.retries = healthcheck.retries;
  return health;
}

ContainerConfig merge_config(ContainerConfig user, const ContainerDefaults& image) {
  if (user.user.empty()) user.user = image.user;
  unite(user.exposed_ports, image.exposed_ports);
  unite(user.volumes, image.volumes);
  for (const std::string& variable : image.env) {
    if (!has_variable(user.env, variable_name(variable))) user.env.push_back(variable);
  }
  user.labels.insert(image.labels.begin(), image.labels.end());
  merge_command(user, image);
  if (image.healthcheck) merge_health(user, *image.healthcheck);
  if (user.working_dir.empty()) user.working_dir = image.working_dir;
  if (user.stop_signal.empty()) user.stop_signal = image.stop_signal;
  if (user.shell.empty() && image.shell) user.shell = *image.shell;
  return user;
}

std::vector<std::string> command_line(const ContainerConfig& config) {
  std::vector<std::string> line = config.entrypoint.value_or(StringList{});
  if (config.cmd) line.insert(line.end(), config.cmd->begin(), config.cmd->end());
  if (line.empty()) throw Error(ErrorKind::Invalid, "no command specified");
  return line;
}

std::vector<std::string> with_environment(std::vector<std::string> base, const std::vector<std::string>& changes) {
  for (const std::string& change : changes) {
    const std::string_view name = variable_name(change);
    const auto place =
        std::find_if(base.begin(), base.end(), [&](const std::string& entry) { return variable_name(entry) == name; });
    const bool removes = change.find('=') == std::string::npos;
    if (place != base.end()) {
      if (removes) {
        base.erase(place);
      } else {
        *place = change;
      }
    } else if (!removes) {
      base.push_back(change);
    }
  }
  return base;
}

std::vector<std::string> process_environment(const ContainerConfig& config) {
  std::vector<std::string> base = {"PATH=" + std::string(kDefaultPath)};
  if (!config.hostname.empty()) {
    base.push_back("HOSTNAME=" + config.hostname + (config.domainname.empty() ? "" : "." + config.domainname));
  }
  if (config.tty) base.emplace_back("TERM=xterm");
  return with_environment(std::move(base), config.env);
}

}  // namespace ctr
