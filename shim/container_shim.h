// The shim of a container: makes its first process from the container's directory, holds it, and decides what its end
// means: another start by the restart policy, or the last words, in the order "answer first, tidy after".
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/lock.h"
#include "runtime/join.h"
#include "runtime/network_service.h"
#include "shim/container_log.h"
#include "shim/health_monitor.h"
#include "shim/process_holder.h"
#include "shim/restart_policy.h"

namespace ctr {

class ContainerShim final : public ProcessHolder {
 public:
  ContainerShim(Starter& starter, fs::path directory, fs::path run_directory);

  /// Starts the container and reports to the starter; returns after the container's last end. Throws if the start
  /// fails, when the failure is written down but not yet reported.
  void run();

  void on_attach(ClientId client) override;
  void on_signal(ClientId client, int signal, bool is_raw) override;
  void on_stop(ClientId client, const StopPayload& stop) override;
  void on_pause(ClientId client, bool pause) override;
  void on_wait(ClientId client, WaitFor condition) override;
  void on_network(ClientId client, std::string_view json, std::vector<Fd> fds) override;
  void on_close_ports(ClientId client, std::string_view json) override;

 private:
  struct Waiter {
    ClientId client;
    bool until_final;  // else: any end
    bool is_stop;      // answered by Done
  };

  /// What a health check needs of the spec, which is not kept otherwise: a shim is to be small.
  struct ProbePlan {
    ProcessSpec process;
    JoinOptions options;
  };

  void on_output(LogStream stream, std::string_view bytes) override { log_->append(stream, bytes); }
  void on_process_end(ExitStatus status) override;

  void load_settings();
  void start();
  void fail_start(const std::exception& error);
  void make_process();
  RootSource root_source(const Spec& spec) const;
  void plan_probe(const Spec& spec, const SandboxOptions& container);
  void start_health_monitor();
  Sandbox start_probe(int output);
  void on_health(const HealthReport& report, bool is_new_status);
  void start_again();

  int stop_signal() const;
  void begin_stop(int signal, std::int32_t timeout_seconds);
  bool send_signal(int signal);
  void kill_now();
  void on_shutdown_signal();

  void write_state();
  void write_exit();
  void record_end(ExitStatus status);
  void release_claims() noexcept;
  ExitedPayload exited_payload(bool is_final) const;
  void answer(bool is_final);
  void end_for_good();
  void spawn_cleanup() noexcept;
  void add_network(std::string_view json, std::vector<Fd> fds);

  fs::path directory_;
  fs::path run_directory_;
  Fd run_fd_;
  std::optional<FileLock> lock_;
  ShimSettings settings_;
  std::optional<Cgroup> cgroup_;
  bool has_own_pids_ = true;
  std::unique_ptr<ContainerLog> log_;
  std::unique_ptr<NetworkServer> network_;
  std::optional<ProbePlan> probe_;
  std::unique_ptr<HealthMonitor> health_;
  RestartSchedule restarts_;
  ShimState state_;
  ProcessExit exit_;
  std::int64_t started_ms_ = 0;
  std::uint64_t oom_kills_before_ = 0;
  std::vector<Waiter> waiters_;
  Fd shutdown_signals_;
  EventLoop::TimerId kill_timer_ = 0;
  EventLoop::TimerId restart_timer_ = 0;
  std::optional<int> forced_exit_code_;  // the process was ended in place of a signal that it never saw
  bool is_over_ = false;                 // the last end was told
  bool is_stop_requested_ = false;       // by a person: no restart
  bool is_shutting_down_ = false;        // the machine: no restart now
  bool is_ended_as_unhealthy_ = false;
};

}  // namespace ctr
