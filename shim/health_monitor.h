// Carries out a container's health check: starts the probe when it is due, collects what it says, ends it when it takes
// too long, and keeps the verdict of Docker's rules. Does not know how a probe gets into the container.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "runtime/sandbox.h"
#include "shim/event_loop.h"
#include "shim/protocol.h"

namespace ctr {

/// The rules alone: what a probe's result makes of the state.
class HealthVerdict {
 public:
  explicit HealthVerdict(const HealthSettings& settings) : settings_(settings) { report_.status = "starting"; }

  /// Returns whether the status changed. `in_start_period`: failures don't count while it is still starting.
  bool add(ProbeResult result, bool in_start_period);
  const HealthReport& report() const noexcept { return report_; }

 private:
  HealthSettings settings_;
  HealthReport report_;
};

class HealthMonitor {
 public:
  struct Host {
    /// Starts the probe's command in the container, with both outputs going into `output`. Throws if it can't.
    std::function<Sandbox(int output)> start_probe;
    std::function<void(const HealthReport&, bool is_new_status)> report;
  };

  HealthMonitor(EventLoop& loop, const HealthSettings& settings, Host host);
  ~HealthMonitor();
  HealthMonitor(const HealthMonitor&) = delete;
  HealthMonitor& operator=(const HealthMonitor&) = delete;

  const HealthReport& report() const noexcept { return verdict_.report(); }

  /// While the container stands still: a probe would stand still with it, and time must not count against one.
  void suspend();
  void go_on();

 private:
  void schedule();
  void start_probe();
  void wait_for_probe();
  void read_output();
  void on_timeout();
  void finish_probe(int exit_code);
  bool in_start_period() const;

  EventLoop& loop_;
  HealthSettings settings_;
  Host host_;
  HealthVerdict verdict_;
  std::int64_t started_ms_;
  EventLoop::TimerId timer_ = 0;
  std::optional<Sandbox> probe_;
  Fd output_;
  ProbeResult result_;
  bool is_cut_ = false;
  bool is_late_ = false;
  bool is_suspended_ = false;
};

}  // namespace ctr
