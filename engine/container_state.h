// What a container does now: found out from the shim's lock, its state.json and exit.json and the record, never from
// remembered pids. `Running` is only said while the shim holds its lock.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/time.h"
#include "engine/container_record.h"

namespace ctr {

class Context;

enum class ContainerStatus { Created, Running, Paused, Restarting, Removing, Exited, Dead };

struct HealthProbe {
  std::string start;
  std::string end;
  int exit_code = 0;
  std::string output;
};
struct HealthState {
  std::string status;  // starting, healthy, unhealthy; empty: no health check
  std::int64_t failing_streak = 0;
  std::vector<HealthProbe> log;
};

struct ContainerState {
  ContainerStatus status = ContainerStatus::Created;
  int pid = 0;        // of pid 1, while it runs
  int shim_pid = 0;   // while it lives
  int exit_code = 0;
  bool oom_killed = false;
  std::string error;
  std::string started_at;   // "0001-01-01T00:00:00Z" if never, as in Docker
  std::string finished_at;
  std::int64_t restart_count = 0;
  HealthState health;

  bool is_running() const {
    return status == ContainerStatus::Running || status == ContainerStatus::Paused ||
           status == ContainerStatus::Restarting;
  }
};

ContainerState read_state(Context& context, const ContainerRecord& record);

/// "created", "running", "paused", "restarting", "removing", "exited", "dead".
std::string to_string(ContainerStatus status);
/// The STATUS column: "Up 5 minutes (healthy)", "Exited (0) 16 seconds ago", "Created".
std::string status_words(const ContainerState& state, Time now);

}  // namespace ctr
