#include "engine/container_state.h"

#include <sys/stat.h>

#include "base/file.h"
#include "base/time.h"
#include "engine/container_store.h"
#include "engine/context.h"
#include "engine/shim_client.h"

namespace ctr {
namespace {

constexpr int kKilledWithShim = 137;
constexpr int kLostInReboot = 255;

ContainerStatus status_of(ShimStatus status) {
  switch (status) {
    case ShimStatus::Created: return ContainerStatus::Created;
    case ShimStatus::Running: return ContainerStatus::Running;
    case ShimStatus::Paused: return ContainerStatus::Paused;
    case ShimStatus::Restarting: return ContainerStatus::Restarting;
    case ShimStatus::Removing: return ContainerStatus::Removing;
    case ShimStatus::Exited: return ContainerStatus::Exited;
  }
  return ContainerStatus::Dead;
}

void read_health(const fs::path& run_directory, const ContainerRecord& record, HealthState& health) {
  if (!record.shim.health) return;
  health.status = "starting";
  const std::optional<HealthReport> report = find_health_report(run_directory);
  if (!report) return;
  health.status = report->status;
  health.failing_streak = report->failing_streak;
  for (const ProbeResult& probe : report->log) {
    health.log.push_back({probe.start, probe.end, probe.exit_code, probe.output});
  }
}

void apply_exit(const ProcessExit& exit, ContainerState& state) {
  state.exit_code = exit.exit_code;
  state.oom_killed = exit.oom_killed;
  state.error = exit.error;
  state.restart_count = exit.restart_count;
  if (!exit.started_at.empty()) state.started_at = exit.started_at;
  if (!exit.finished_at.empty()) state.finished_at = exit.finished_at;
}

/// The time of the last trace of a container whose shim died without a word.
std::string last_trace(const fs::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) return std::string(kZeroTimeText);
  return format_time(Time(std::chrono::seconds(status.st_mtim.tv_sec) + std::chrono::nanoseconds(status.st_mtim.tv_nsec)));
}

void read_dead(const fs::path& directory, const fs::path& run_directory, const ContainerRecord& record,
               ContainerState& state) {
  if (const std::optional<ProcessExit> exit = find_process_exit(directory)) {
    apply_exit(*exit, state);
    const bool never_ran = exit->started_at.empty() && record.last_finished_at.empty();
    state.status = never_ran ? ContainerStatus::Created : ContainerStatus::Exited;
    // A --rm container whose end is written down is being removed by the process that its shim spawned.
    if (record.host.auto_remove && !never_ran) state.status = ContainerStatus::Removing;
    return;
  }
  if (!record.has_been_started) return;
  state.status = ContainerStatus::Exited;
  const std::optional<ShimState> last = find_shim_state(run_directory);
  state.exit_code = last ? kKilledWithShim : kLostInReboot;
  if (last && !last->started_at.empty()) state.started_at = last->started_at;
  state.finished_at = last ? last_trace(run_directory / kStateFile) : last_trace(directory / kRecordFile);
}

std::string ago(const std::string& since, Time now) {
  const std::optional<Time> then = parse_time(since);
  return human_duration(then ? now - *then : std::chrono::nanoseconds(0));
}

}  // namespace

ContainerState read_state(Context& context, const ContainerRecord& record) {
  const fs::path directory = context.containers().directory(record.id);
  const fs::path run_directory = context.containers().run_directory(record.id);
  ContainerState state;
  state.started_at = kZeroTimeText;
  state.finished_at = record.last_finished_at.empty() ? std::string(kZeroTimeText) : record.last_finished_at;
  const bool is_alive = is_shim_alive(run_directory);
  const std::optional<ShimState> living = is_alive ? find_shim_state(run_directory) : std::nullopt;
  if (!living) {
    if (!is_alive) read_dead(directory, run_directory, record, state);
    return state;
  }
  state.status = status_of(living->status);
  if (const std::optional<ProcessExit> exit = find_process_exit(directory)) apply_exit(*exit, state);
  if (state.is_running()) {
    state.pid = living->pid;
    state.shim_pid = living->shim_pid;
    if (state.status != ContainerStatus::Restarting) {
      state.exit_code = 0;
      state.oom_killed = false;
    }
    state.error.clear();
    read_health(run_directory, record, state.health);
  }
  if (!living->started_at.empty()) state.started_at = living->started_at;
  state.restart_count = living->restart_count;
  return state;
}

std::string to_string(ContainerStatus status) {
  switch (status) {
    case ContainerStatus::Created: return "created";
    case ContainerStatus::Running: return "running";
    case ContainerStatus::Paused: return "paused";
    case ContainerStatus::Restarting: return "restarting";
    case ContainerStatus::Removing: return "removing";
    case ContainerStatus::Exited: return "exited";
    case ContainerStatus::Dead: return "dead";
  }
  return "dead";
}

std::string status_words(const ContainerState& state, Time now) {
  switch (state.status) {
    case ContainerStatus::Created: return "Created";
    case ContainerStatus::Removing: return "Removal In Progress";
    case ContainerStatus::Dead: return "Dead";
    case ContainerStatus::Exited:
      return "Exited (" + std::to_string(state.exit_code) + ") " + ago(state.finished_at, now) + " ago";
    case ContainerStatus::Restarting:
      return "Restarting (" + std::to_string(state.exit_code) + ") " + ago(state.finished_at, now) + " ago";
    case ContainerStatus::Paused: return "Up " + ago(state.started_at, now) + " (Paused)";
    case ContainerStatus::Running: break;
  }
  std::string words = "Up " + ago(state.started_at, now);
  if (state.health.status == "starting") {
    words += " (health: starting)";
  } else if (!state.health.status.empty()) {
    words += " (" + state.health.status + ")";
  }
  return words;
}

}  // namespace ctr
