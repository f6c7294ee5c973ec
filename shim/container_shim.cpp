#include "shim/container_shim.h"

#include <csignal>
#include <fcntl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/error.h"
#include "base/process.h"
#include "base/time.h"
#include "runtime/bundle.h"
#include "shim/event_writer.h"
#include "shim/own_process.h"
#include "shim/signal_delivery.h"

namespace ctr {

namespace {

constexpr std::uint64_t kRecordLimit = 16 * kMiB;
constexpr int kSignalBase = 128;

/// For what must not keep the shim from its next step: a full disk is no reason to leave clients without an answer.
template <typename Action>
void attempt(Action&& action) noexcept {
  try {
    action();
  } catch (const std::exception&) {
    // Whoever finds this shim dead looks for what is missing.
  }
}

int exit_code_of(const std::exception& error) {
  const auto* failure = dynamic_cast<const SandboxError*>(&error);
  return failure != nullptr ? failure->exit_status() : kOwnFailure;
}

/// Removes a claim only if it is ours: another container may have taken the place of a stale one.
void unlink_claim(const fs::path& claim, const std::string& id) {
  const std::optional<std::string> holder = find_link(claim);
  if (holder == id) ::unlink(claim.c_str());
}

}  // namespace

ContainerShim::ContainerShim(Starter& starter, fs::path directory, fs::path run_directory)
    : ProcessHolder(starter),
      directory_(std::move(directory)),
      run_directory_(std::move(run_directory)),
      run_fd_(open_directory(run_directory_)) {}

void ContainerShim::load_settings() {
  const Json record = Json::parse(read_file(directory_ / kRecordFile, kRecordLimit), kRecordFile);
  settings_ = shim_settings_from_json(record.at("shim"));
}

void ContainerShim::run() {
  lock_ = acquire_shim_lock(run_directory_ / kShimLock);
  if (!lock_) throw Error(ErrorKind::Busy, "the container is already running");
  load_settings();
  enter_holder_cgroup(settings_.id);
  for (Starter::Network& network : starter_.networks()) add_network(network.json, std::move(network.fds));
  log_ = std::make_unique<ContainerLog>(directory_, settings_.log);
  state_.shim_pid = ::getpid();
  shutdown_signals_ = take_shutdown_signals();
  loop_.watch(shutdown_signals_.get(), EPOLLIN, [this](std::uint32_t) { on_shutdown_signal(); });
  try {
    start();
  } catch (const std::exception& error) {
    fail_start(error);
    return;
  }
  write_event(settings_.events, settings_.id, "start");
  starter_.report_started(process_pid());
  attach_starter();
  run_loop();
}

/// The starter tidies up, because it still waits for this answer; a dead one leaves it to the next command.
void ContainerShim::fail_start(const std::exception& error) {
  exit_ = {};
  exit_.exit_code = exit_code_of(error);
  exit_.error = error.what();
  exit_.finished_at = format_time(now());
  attempt([this] { write_exit(); });
  release_claims();
  ::unlinkat(run_fd_.get(), std::string(kShimSocket).c_str(), 0);
  leave_holder_cgroup();
  lock_.reset();
  starter_.report_failure(error, exit_.exit_code);
}

/// Everything up to the moment when the command has been executed.
void ContainerShim::start() {
  make_process();
  if (state_.restart_count == 0) open_socket(run_fd_.get());
  ::unlink((directory_ / kExitFile).c_str());
  state_.status = ShimStatus::Running;
  state_.pid = process_pid();
  state_.pid_start_ticks = start_ticks_of(state_.pid);
  state_.started_at = format_time(now());
  state_.health = settings_.health ? "starting" : "";
  write_state();
  try {
    execute();
  } catch (...) {
    discard();
    ::unlink((run_directory_ / kStateFile).c_str());
    throw;
  }
  started_ms_ = monotonic_ms();
  start_health_monitor();
}

void ContainerShim::make_process() {
  Bundle bundle = load_bundle(directory_);
  Spec& spec = bundle.spec;
  if (!spec.process) throw Error(ErrorKind::Invalid, "config.json has no process");
  if (settings_.tty && size().rows != 0) spec.process->console_size = ConsoleSize{size().rows, size().columns};
  if (!spec.linux.cgroups_path.empty()) {
    cgroup_ = Cgroup::create(spec.linux.cgroups_path, spec.linux.resources, CgroupPolicy::BestEffort);
    // A shim that was killed while the container stood still left the group frozen: a child would not get out of clone3.
    if (cgroup_->is_frozen()) cgroup_->thaw();
    oom_kills_before_ = cgroup_->oom_kills();
  }
  has_own_pids_ = find_namespace(spec, NamespaceType::Pid) != nullptr;
  SandboxOptions options;
  options.id = settings_.id;
  options.bundle = directory_;
  options.seccomp_filter =
      settings_.seccomp_filter.empty() ? std::move(bundle.seccomp_filter) : read_file(settings_.seccomp_filter);
  options.user = user_request_of(spec);
  options.parent_death_signal = SIGKILL;
  plan_probe(spec, options);
  const Streams streams = {settings_.tty, settings_.open_stdin, settings_.open_stdin && settings_.stdin_once};
  launch(streams, [&](const Stdio& stdio) {
    return start_sandbox(spec, root_source(spec), stdio, cgroup_ ? &*cgroup_ : nullptr, options);
  });
}

RootSource ContainerShim::root_source(const Spec& spec) const {
  if (!settings_.root) return spec.root.path;
  if (settings_.layers_directory.empty()) return *settings_.root;
  return mount_overlay(*settings_.root, settings_.layers_directory);
}

void ContainerShim::plan_probe(const Spec& spec, const SandboxOptions& container) {
  if (!settings_.health || settings_.health->argv.empty()) return;
  probe_.emplace();
  probe_->process = *spec.process;
  probe_->process.args = settings_.health->argv;
  probe_->process.terminal = false;
  probe_->options.id = settings_.id;
  probe_->options.seccomp_filter = container.seccomp_filter;
  if (spec.linux.seccomp) probe_->options.seccomp_flags = spec.linux.seccomp->flags;
  probe_->options.user = container.user;
  probe_->options.parent_death_signal = SIGKILL;
}

void ContainerShim::start_health_monitor() {
  if (!probe_) return;
  health_ = std::make_unique<HealthMonitor>(
      loop_, *settings_.health,
      HealthMonitor::Host{[this](int output) { return start_probe(output); },
                          [this](const HealthReport& report, bool is_new) { on_health(report, is_new); }});
  attempt([this] { on_health(health_->report(), false); });
}

Sandbox ContainerShim::start_probe(int output) {
  const Fd null = open_file("/dev/null", O_RDONLY);
  const Stdio stdio = {null.get(), output, output};
  Sandbox probe = exec_in(state_.pid, probe_->process, stdio, cgroup_ ? &*cgroup_ : nullptr, probe_->options);
  probe.start();
  return probe;
}

void ContainerShim::on_health(const HealthReport& report, bool is_new_status) {
  write_file_atomic(run_directory_ / kHealthFile, to_json(report).dump(), Durability::Cached);
  if (!is_new_status) return;
  state_.health = report.status;
  write_state();
  write_event(settings_.events, settings_.id, "health_status: " + report.status);
  if (report.status != "unhealthy" || settings_.restart.policy != "on-unhealthy") return;
  is_ended_as_unhealthy_ = true;
  begin_stop(stop_signal(), settings_.stop_timeout_seconds);
}

int ContainerShim::stop_signal() const {
  return settings_.stop_signal.empty() ? SIGTERM : parse_signal(settings_.stop_signal).value_or(SIGTERM);
}

/// Returns whether the process will do something about it, as far as anybody can tell.
bool ContainerShim::send_signal(int signal) {
  return deliver_signal(sandbox().pidfd(), process_pid(), cgroup_ ? &*cgroup_ : nullptr, signal) == SignalFate::Taken;
}

void ContainerShim::kill_now() {
  if (process_pid() == 0) return;
  sandbox().kill(SIGKILL);
  // A frozen process of cgroup v1 dies when it is thawed.
  if (cgroup_ && state_.status == ShimStatus::Paused) cgroup_->thaw();
}

void ContainerShim::begin_stop(int signal, std::int32_t timeout_seconds) {
  if (process_pid() == 0) return;
  if (!send_signal(signal)) {
    forced_exit_code_ = kSignalBase + signal;
    kill_now();
    return;
  }
  if (cgroup_ && state_.status == ShimStatus::Paused) cgroup_->thaw();
  loop_.cancel(kill_timer_);
  if (timeout_seconds >= 0) kill_timer_ = loop_.after_ms(std::int64_t{timeout_seconds} * 1000, [this] { kill_now(); });
}

void ContainerShim::on_shutdown_signal() {
  signalfd_siginfo info;
  if (::read(shutdown_signals_.get(), &info, sizeof info) < 0) return;
  // The machine goes down: an orderly end, which the restart policy must not undo but a boot may.
  loop_.cancel(restart_timer_);
  if (process_pid() == 0) {
    end_for_good();
    return;
  }
  is_shutting_down_ = true;
  begin_stop(stop_signal(), settings_.stop_timeout_seconds);
}

void ContainerShim::on_signal(ClientId client, int signal, bool is_raw) {
  if (process_pid() == 0) throw Error(ErrorKind::NotFound, "container " + settings_.id + " is not running");
  if (signal < 1 || signal > 64) throw Error(ErrorKind::Invalid, "no such signal: " + std::to_string(signal));
  // As with Docker, a container that somebody ends by hand stays down.
  if (signal == SIGKILL || signal == stop_signal()) is_stop_requested_ = true;
  if (signal == SIGKILL) {
    kill_now();
  } else if (is_raw) {
    sandbox().kill(signal);
  } else if (!send_signal(signal)) {
    forced_exit_code_ = kSignalBase + signal;
    kill_now();
  }
  server_.done(client);
}

void ContainerShim::on_stop(ClientId client, const StopPayload& stop) {
  is_stop_requested_ = true;
  if (is_over_) {
    server_.done(client);
    return;
  }
  waiters_.push_back({client, true, true});
  if (process_pid() == 0) {
    loop_.cancel(restart_timer_);
    end_for_good();
    return;
  }
  begin_stop(stop.signal == 0 ? stop_signal() : stop.signal,
             stop.timeout_seconds == kDefaultStopTimeout ? settings_.stop_timeout_seconds : stop.timeout_seconds);
}

void ContainerShim::on_pause(ClientId client, bool pause) {
  const ShimStatus wanted = pause ? ShimStatus::Running : ShimStatus::Paused;
  if (state_.status != wanted) {
    const std::string words = process_pid() == 0 ? " is not running" : pause ? " is already paused" : " is not paused";
    throw Error(ErrorKind::Busy, "container " + settings_.id + words);
  }
  if (!cgroup_ || !cgroup_->can_freeze())
    throw Error(ErrorKind::Unavailable, "no cgroup of this machine can freeze the container");
  if (pause) {
    if (health_) health_->suspend();
    cgroup_->freeze();
  } else {
    cgroup_->thaw();
    if (health_) health_->go_on();
  }
  state_.status = pause ? ShimStatus::Paused : ShimStatus::Running;
  write_state();
  server_.done(client);
}

void ContainerShim::on_attach(ClientId client) {
  if (is_over_) server_.exited(client, exited_payload(true), exit_.error);
}

void ContainerShim::on_wait(ClientId client, WaitFor condition) {
  waiters_.push_back({client, condition == WaitFor::NotRunning, false});
  if (is_over_) answer(true);
}

void ContainerShim::add_network(std::string_view json, std::vector<Fd> fds) {
  NetworkService service = network_service_from_json(Json::parse(json, "network service"), std::move(fds));
  if (!network_) {
    network_ = std::make_unique<NetworkServer>();
    loop_.watch(network_->poll_fd(), EPOLLIN, [this](std::uint32_t) { network_->dispatch(); });
  }
  network_->add(std::move(service));
}

void ContainerShim::on_network(ClientId client, std::string_view json, std::vector<Fd> fds) {
  add_network(json, std::move(fds));
  server_.done(client);
}

void ContainerShim::on_close_ports(ClientId client, std::string_view json) {
  std::vector<PublishedPort> ports;
  const Json list = Json::parse(json, "ports");
  for (const Json& port : list.as_array()) ports.push_back(published_port_from_json(port));
  if (network_) network_->remove_ports(ports);
  server_.done(client);
}

void ContainerShim::on_process_end(ExitStatus status) {
  loop_.cancel(kill_timer_);
  health_.reset();
  record_end(status);
  // What update changed meanwhile counts: the restart policy, and for a rename the claims.
  attempt([this] { load_settings(); });
  std::optional<std::int64_t> delay;
  if (!is_stop_requested_ && !is_shutting_down_) {
    delay = restarts_.next_delay_ms(settings_.restart,
                                    {exit_.exit_code, monotonic_ms() - started_ms_, is_ended_as_unhealthy_});
  }
  is_ended_as_unhealthy_ = false;
  if (!delay) {
    end_for_good();
    return;
  }
  state_.status = ShimStatus::Restarting;
  state_.pid = 0;
  state_.restart_count = restarts_.count();
  attempt([this] { write_exit(); });
  attempt([this] { write_state(); });
  answer(false);
  restart_timer_ = loop_.after_ms(*delay, [this] { start_again(); });
}

void ContainerShim::record_end(ExitStatus status) {
  exit_ = {};
  const bool was_ended_by_us = status.signal == SIGKILL && forced_exit_code_.has_value();
  exit_.exit_code = was_ended_by_us ? *forced_exit_code_ : status.shell_code();
  forced_exit_code_.reset();
  exit_.started_at = state_.started_at;
  exit_.finished_at = format_time(now());
  exit_.restart_count = state_.restart_count;
  exit_.stopped_by_request = is_stop_requested_;
  attempt([this] {
    if (!cgroup_) return;
    exit_.oom_killed = cgroup_->oom_kills() > oom_kills_before_;
    // Without a pid namespace of its own its other processes live on.
    if (!has_own_pids_) cgroup_->kill();
  });
  if (exit_.oom_killed) write_event(settings_.events, settings_.id, "oom");
  write_event(settings_.events, settings_.id, "die", {{"exitCode", std::to_string(exit_.exit_code)}});
}

void ContainerShim::start_again() {
  try {
    start();
    write_event(settings_.events, settings_.id, "start");
    release_heap();
  } catch (const std::exception& error) {
    exit_.exit_code = exit_code_of(error);
    exit_.error = error.what();
    exit_.finished_at = format_time(now());
    end_for_good();
  }
}

void ContainerShim::write_state() {
  write_file_atomic(run_directory_ / kStateFile, to_json(state_).dump(), Durability::Cached);
}

void ContainerShim::write_exit() {
  write_file_atomic(directory_ / kExitFile, to_json(exit_).dump(), Durability::Cached);
}

/// Should this fail, the clean-up does it again.
void ContainerShim::release_claims() noexcept {
  attempt([this] {
    for (const fs::path& claim : settings_.claims_while_running) unlink_claim(claim, settings_.id);
    if (!settings_.auto_remove) return;
    for (const fs::path& claim : settings_.claims_until_removed) unlink_claim(claim, settings_.id);
  });
}

ExitedPayload ContainerShim::exited_payload(bool is_final) const {
  ExitedPayload exited = {exit_.exit_code, 0};
  if (exit_.oom_killed) exited.flags |= kExitedOom;
  if (!is_final) exited.flags |= kExitedRestarting;
  return exited;
}

void ContainerShim::answer(bool is_final) {
  const ExitedPayload exited = exited_payload(is_final);
  server_.all_attached_exited(exited, exit_.error);
  std::vector<Waiter> rest;
  for (const Waiter& waiter : waiters_) {
    if (waiter.until_final && !is_final) {
      rest.push_back(waiter);
    } else if (waiter.is_stop) {
      server_.done(waiter.client);
    } else {
      server_.exited(waiter.client, exited, exit_.error);
    }
  }
  waiters_ = std::move(rest);
}

/// Answer first, tidy after: when anybody is told, the end is written down, name and ports are free and the container
/// counts as dead.
void ContainerShim::end_for_good() {
  is_over_ = true;
  exit_.stopped_by_request = is_stop_requested_;
  attempt([this] { write_exit(); });
  state_.status = settings_.auto_remove ? ShimStatus::Removing : ShimStatus::Exited;
  state_.pid = 0;
  attempt([this] { write_state(); });
  release_claims();
  server_.stop_listening();
  ::unlinkat(run_fd_.get(), std::string(kShimSocket).c_str(), 0);
  lock_.reset();
  answer(true);
  spawn_cleanup();
  finish();
}

void ContainerShim::spawn_cleanup() noexcept {
  // Otherwise the group could not be removed, because we and the clean-up are in it.
  leave_holder_cgroup();
  if (settings_.ctr_program.empty()) return;
  attempt([this] {
    Command command;
    command.argv = {settings_.ctr_program.native()};
    command.argv.insert(command.argv.end(), settings_.cleanup_arguments.begin(), settings_.cleanup_arguments.end());
    command.argv.insert(command.argv.end(), {"container-cleanup", settings_.id});
    command.cwd = "/";
    command.standard_out = -1;
    command.standard_error = -1;
    command.new_session = true;
    spawn(command);
  });
}

}  // namespace ctr
