// Stop, kill, pause, rename, remove, wait, update: what is done to containers that exist.

#include <poll.h>
#include <sys/inotify.h>

#include <csignal>

#include "base/error.h"
#include "base/process.h"
#include "base/text.h"
#include "base/trace.h"
#include "engine/container_checks.h"
#include "engine/container_cleanup.h"
#include "engine/container_network.h"
#include "engine/container_store.h"
#include "engine/containers.h"
#include "engine/events.h"
#include "engine/make_spec.h"
#include "engine/shim_settings.h"
#include "engine/spec_resources.h"
#include "image/garbage.h"
#include "image/store.h"
#include "runtime/bridge_network.h"
#include "runtime/cgroup.h"

namespace ctr {
namespace {

constexpr int kRemoveAttempts = 5;  // a run may begin between the kill and the lock

int signal_number(const std::string& text) {
  const std::optional<int> number = parse_signal(text);
  if (!number) throw Error(ErrorKind::Invalid, "invalid signal: " + text);
  return *number;
}

void tell(Context& context, const ContainerRecord& record, const std::string& action, const StringMap& more = {}) {
  StringMap attributes = event_attributes(record);
  attributes.insert(more.begin(), more.end());
  context.events().append({"container", action, record.id, attributes, 0});
}

std::optional<ShimConnection> connect(Context& context, const ContainerRecord& record) {
  return ShimConnection::connect(context.containers().run_directory(record.id));
}

ShimConnection connect_running(Context& context, const ContainerRecord& record) {
  std::optional<ShimConnection> connection;
  if (read_state(context, record).is_running()) connection = connect(context, record);
  if (!connection) throw Error(ErrorKind::Busy, "container " + record.id + " is not running");
  return *std::move(connection);
}

}  // namespace

void stop_container(Context& context, const std::string& container, const StopRequest& request) {
  const ContainerRecord record = context.containers().get(container);
  const int signal = request.signal.empty() ? 0 : signal_number(request.signal);
  if (!read_state(context, record).is_running()) return;
  std::optional<ShimConnection> connection = connect(context, record);
  if (!connection) return;
  connection->stop(signal, request.timeout_seconds.value_or(kDefaultStopTimeout));
  tell(context, record, "stop");
}

void restart_container(Context& context, const std::string& container, const StopRequest& request) {
  const ContainerRecord record = context.containers().get(container);
  stop_container(context, record.id, request);
  start_container(context, record.id, {});
  tell(context, record, "restart");
}

void kill_container(Context& context, const std::string& container, const std::string& signal) {
  const int number = signal_number(signal.empty() ? "KILL" : signal);
  const ContainerRecord record = in_context("cannot kill container: " + container, [&] {
    ContainerRecord found = context.containers().get(container);
    ShimConnection connection = connect_running(context, found);
    if (number == SIGKILL) {
      connection.stop(SIGKILL, 0);
    } else {
      connection.signal(number);
    }
    return found;
  });
  tell(context, record, "kill", {{"signal", std::to_string(number)}});
}

void pause_container(Context& context, const std::string& container) {
  const ContainerRecord record = context.containers().get(container);
  const ContainerStatus status = read_state(context, record).status;
  if (status == ContainerStatus::Paused) throw Error(ErrorKind::Busy, "Container " + record.id + " is already paused");
  if (status == ContainerStatus::Restarting) {
    throw Error(ErrorKind::Busy, "Container " + record.id + " is restarting, wait until the container is running");
  }
  if (status != ContainerStatus::Running) throw Error(ErrorKind::Busy, "Container " + record.id + " is not running");
  connect_running(context, record).pause();
  tell(context, record, "pause");
}

void unpause_container(Context& context, const std::string& container) {
  const ContainerRecord record = context.containers().get(container);
  if (read_state(context, record).status != ContainerStatus::Paused) {
    throw Error(ErrorKind::Busy, "Container " + record.id + " is not paused");
  }
  connect_running(context, record).unpause();
  tell(context, record, "unpause");
}

void resize_container(Context& context, const std::string& container, int rows, int columns) {
  const ContainerRecord record = context.containers().get(container);
  connect_running(context, record)
      .resize({static_cast<std::uint16_t>(rows), static_cast<std::uint16_t>(columns)});
}

void rename_container(Context& context, const std::string& container, const std::string& new_name) {
  const std::string name = new_name.starts_with('/') ? new_name.substr(1) : new_name;
  if (name.empty()) throw Error(ErrorKind::Invalid, "Neither old nor new names may be empty");
  const std::string id = context.containers().resolve(container);
  const FileLock lock = context.containers().lock(id);
  ContainerRecord record = context.containers().load(id);
  const std::string old_name = record.name;
  if (old_name == name) {
    throw Error(ErrorKind::Invalid, "Renaming a container with the same name as its current name");
  }
  context.containers().claim_name(name, id);
  record.name = name;
  set_shim_settings(context, record);
  try {
    context.containers().save(record, RecordDurability::Synced);
  } catch (const Error&) {
    context.containers().release_name(name, id);
    throw;
  }
  context.containers().release_name(old_name, id);
  if (network_mode_of(record.host) == NetworkMode::Networks && read_state(context, record).is_running()) {
    rename_endpoints(context.paths(), id, name);
    note_network_names(context, record);
    context.containers().save(record, RecordDurability::Cached);
  }
  tell(context, record, "rename", {{"oldName", "/" + old_name}});
}

std::string remove_container(Context& context, const std::string& container, RemoveForce force, RemoveVolumes volumes) {
  const TraceSpan span("remove container");
  const std::string id = context.containers().resolve(container);
  const ContainerRecord asked = context.containers().load(id);
  const ContainerState state = read_state(context, asked);
  if (state.is_running() && force == RemoveForce::No) {
    const bool is_paused = state.status == ContainerStatus::Paused;
    throw Error(ErrorKind::Busy,
                "cannot remove container \"" + container + "\": container is " + to_string(state.status) +
                    (is_paused ? " and must be unpaused first" : ": stop the container before removing or force remove"));
  }
  for (int attempt = 0; attempt < kRemoveAttempts; ++attempt) {
    if (force == RemoveForce::Yes && read_state(context, asked).is_running()) {
      if (std::optional<ShimConnection> connection = connect(context, asked)) connection->stop(SIGKILL, 0);
    }
    const FileLock lock = context.containers().lock(id);
    const ContainerRecord record = context.containers().load(id);
    wait_for_begun_run(context, id);
    if (!read_state(context, record).is_running()) {
      remove_stopped(context, record, volumes);
      return id;
    }
    if (force == RemoveForce::No) break;
  }
  throw Error(ErrorKind::Busy, "cannot remove container \"" + container + "\": it was started again meanwhile");
}

namespace {

/// Sleeps until something happens in a directory, at most a second (whatever was missed is found then).
class DirectoryWatch {
 public:
  explicit DirectoryWatch(const std::vector<fs::path>& directories) : watch_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
    for (const fs::path& directory : directories) {
      ::inotify_add_watch(watch_.get(), directory.c_str(),
                          IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF);
    }
  }

  void wait() const {
    pollfd descriptor{watch_.get(), POLLIN, 0};
    ::poll(&descriptor, 1, 1000);
    char buffer[4096];
    while (::read(watch_.get(), buffer, sizeof buffer) > 0) {
    }
  }

 private:
  Fd watch_;
};

WaitResult result_of(const ProcessExit& exit) { return {exit.exit_code, exit.error}; }

std::optional<WaitResult> last_result(Context& context, const ContainerRecord& record) {
  const std::optional<ProcessExit> exit = find_process_exit(context.containers().directory(record.id));
  return exit ? std::optional(result_of(*exit)) : std::nullopt;
}

std::optional<WaitResult> wait_for_exit(Context& context, const ContainerRecord& record, WaitFor condition) {
  std::optional<ShimConnection> connection = connect(context, record);
  if (!connection) return std::nullopt;
  const std::optional<ProcessExit> exit = connection->wait(condition);
  if (exit) return result_of(*exit);
  return last_result(context, record);
}

WaitResult state_result(Context& context, const ContainerRecord& record) {
  const ContainerState state = read_state(context, record);
  return {state.exit_code, state.error};
}

WaitResult wait_until_removed(Context& context, const ContainerRecord& record) {
  const fs::path directory = context.containers().directory(record.id);
  WaitResult result;
  if (read_state(context, record).is_running()) {
    result = wait_for_exit(context, record, WaitFor::NotRunning).value_or(WaitResult{});
  } else {
    result = state_result(context, record);
  }
  const DirectoryWatch watch({directory.parent_path()});
  while (path_exists(directory)) watch.wait();
  return result;
}

}  // namespace

WaitResult wait_container(Context& context, const std::string& container, WaitCondition condition) {
  const ContainerRecord record = context.containers().get(container);
  if (condition == WaitCondition::Removed) return wait_until_removed(context, record);
  const DirectoryWatch watch({context.containers().run_directory(record.id)});
  for (;;) {
    const bool is_running = read_state(context, record).is_running();
    if (is_running) {
      const WaitFor what = condition == WaitCondition::NextExit ? WaitFor::NextExit : WaitFor::NotRunning;
      if (const std::optional<WaitResult> result = wait_for_exit(context, record, what)) return *result;
      if (!path_exists(context.containers().directory(record.id))) return {};
      return state_result(context, record);
    }
    if (condition == WaitCondition::NotRunning) return state_result(context, record);
    watch.wait();
    if (!path_exists(context.containers().directory(record.id))) {
      throw Error(ErrorKind::NotFound, "No such container: " + container);
    }
  }
}

namespace {

template <typename T>
void change(T& value, const std::optional<T>& wanted) {
  if (wanted) value = *wanted;
}

void change_resources(Resources& resources, const UpdateRequest& request) {
  if (request.nano_cpus && (resources.cpu_period != 0 || resources.cpu_quota != 0)) {
    throw Error(ErrorKind::Invalid,
                "Conflicting options: Nano CPUs cannot be updated as CPU Period/Quota has already been set");
  }
  if (request.memory && *request.memory > 0 && !request.memory_swap && resources.memory_swap > 0 &&
      *request.memory > resources.memory_swap) {
    throw Error(ErrorKind::Invalid,
                "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time");
  }
  change(resources.cpu_shares, request.cpu_shares);
  change(resources.memory, request.memory);
  change(resources.memory_swap, request.memory_swap);
  change(resources.memory_reservation, request.memory_reservation);
  change(resources.nano_cpus, request.nano_cpus);
  change(resources.cpu_period, request.cpu_period);
  change(resources.cpu_quota, request.cpu_quota);
  change(resources.cpu_realtime_period, request.cpu_realtime_period);
  change(resources.cpu_realtime_runtime, request.cpu_realtime_runtime);
  change(resources.cpuset_cpus, request.cpuset_cpus);
  change(resources.cpuset_mems, request.cpuset_mems);
  change(resources.blkio_weight, request.blkio_weight);
  if (request.pids_limit) resources.pids_limit = *request.pids_limit;
}

/// Ports of a running container; those of a stopped one are taken at its next start.
void change_ports(Context& context, ContainerRecord& record, const UpdateRequest& request, const ContainerState& state) {
  if (request.publish.empty() && request.unpublish.empty()) return;
  if (network_mode_of(record.host) != NetworkMode::Networks) {
    throw Error(ErrorKind::Invalid, "ports can't be published on network mode " + record.host.network_mode);
  }
  std::vector<ContainerPort> closed;
  for (const std::string& text : request.unpublish) {
    for (const ContainerPort& port : parse_exposed_ports(text)) {
      closed.push_back(port);
      record.host.port_bindings.erase(port.str());
    }
  }
  std::vector<PublishRequest> opened;
  for (const auto& [port, bindings] : request.publish) {
    for (const PortBinding& binding : bindings) {
      opened.push_back(make_publish_request(
          port, binding.host_ip.empty() ? context.configuration().publish_address : binding.host_ip, binding.host_port));
      record.host.port_bindings[port].push_back(binding);
    }
  }
  if (!state.is_running()) return;
  ShimConnection connection = connect_running(context, record);
  if (!closed.empty()) connection.close_ports(unpublish_ports(context.paths(), record.id, closed));
  if (!opened.empty()) connection.add_network(publish_ports(context.paths(), record.id, opened));
}

}  // namespace

std::vector<std::string> update_container(Context& context, const std::string& container, const UpdateRequest& request) {
  const std::string id = context.containers().resolve(container);
  const FileLock lock = context.containers().lock(id);
  ContainerRecord record = context.containers().load(id);
  const ContainerState state = read_state(context, record);
  in_context("Cannot update container " + id, [&] {
    if (request.restart_policy) {
      if (record.host.auto_remove && request.restart_policy->name != "no" && !request.restart_policy->name.empty()) {
        throw Error(ErrorKind::Invalid, "Restart policy cannot be updated because AutoRemove is enabled for the container");
      }
      check_restart_policy(*request.restart_policy);
      record.host.restart_policy = *request.restart_policy;
      if (record.host.restart_policy.name.empty()) record.host.restart_policy.name = "no";
    }
    change_resources(record.host, request);
  });
  std::vector<std::string> warnings = check_resources(record.host);
  change_ports(context, record, request, state);
  set_shim_settings(context, record);
  if (state.is_running()) {
    in_context("Cannot update container " + id,
               [&] { Cgroup::open(record.cgroup_path + "/payload").update(make_limits(record.host)); });
  }
  context.containers().save(record, RecordDurability::Synced);
  tell(context, record, "update");
  return warnings;
}

PruneReport prune_containers(Context& context, const Filters& filters) {
  PruneReport report;
  const PruneBoundary boundary(filters);
  for (const ContainerRecord& record : context.containers().list()) {
    const ContainerStatus status = read_state(context, record).status;
    if (status != ContainerStatus::Created && status != ContainerStatus::Exited && status != ContainerStatus::Dead) continue;
    if (!filters.matches_labels(record.config.labels) || !boundary.is_older(record.created)) continue;
    const std::uint64_t size = record.snapshot.empty() ? 0 : disk_usage(context.store().snapshots().upper(record.snapshot));
    try {
      remove_container(context, record.id, RemoveForce::No, RemoveVolumes::No);
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::NotFound || error.kind() == ErrorKind::Busy) continue;  // somebody else was faster
      throw;
    }
    report.deleted.push_back(record.id);
    report.space_reclaimed += size;
  }
  // Nobody has ever seen these, so they are not reported.
  for (const std::string& id : context.containers().remove_abandoned()) context.store().snapshots().remove(id);
  return report;
}

namespace {

bool should_run_after_reboot(Context& context, const ContainerRecord& record) {
  const std::string& policy = record.host.restart_policy.name;
  if (!record.has_been_started || policy.empty() || policy == "no") return false;
  const std::optional<ProcessExit> exit = find_process_exit(context.containers().directory(record.id));
  if (!exit) return true;  // it ran when the machine went down
  if (policy == "always") return true;
  if (exit->stopped_by_request) return false;
  const std::int64_t retries = record.host.restart_policy.maximum_retry_count;
  const bool has_retries = retries == 0 || exit->restart_count < retries;
  return policy == "unless-stopped" || (policy == "on-failure" && exit->exit_code != 0 && has_retries);
}

}  // namespace

std::vector<StartAllResult> start_all_containers(Context& context) {
  std::vector<StartAllResult> results;
  tidy_dead_containers(context);
  std::vector<ContainerRecord> records = context.containers().list();
  for (auto record = records.rbegin(); record != records.rend(); ++record) {  // oldest first: others may join them
    if (read_state(context, *record).is_running() || !should_run_after_reboot(context, *record)) continue;
    StartAllResult result{record->name, ""};
    try {
      start_container(context, record->id, {});
    } catch (const Error& error) {
      result.error = error.what();
    }
    results.push_back(std::move(result));
  }
  return results;
}

}  // namespace ctr
