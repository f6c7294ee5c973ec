#include "shim/exec_shim.h"

#include <csignal>
#include <unistd.h>

#include "base/error.h"
#include "base/time.h"
#include "runtime/join.h"
#include "shim/event_writer.h"
#include "shim/own_process.h"

namespace ctr {

namespace {

constexpr std::uint64_t kFileLimit = 16 * kMiB;

Json read_json(const fs::path& path) {
  return Json::parse(read_file(path, kFileLimit), path.filename().native());
}

[[noreturn]] void refuse_for_exec() {
  throw Error(ErrorKind::Invalid, "that can be asked of a container only, not of a process started in it");
}

}  // namespace

ExecShim::ExecShim(Starter& starter, fs::path run_directory, const std::string& exec_id)
    : ProcessHolder(starter),
      run_directory_(std::move(run_directory)),
      directory_(run_directory_ / "exec" / exec_id),
      fd_(open_directory(directory_)) {}

void ExecShim::run() {
  lock_ = acquire_shim_lock(directory_ / kShimLock);
  if (!lock_) throw Error(ErrorKind::Busy, "the process is already running");
  settings_ = exec_settings_from_json(read_json(directory_ / kExecSettingsFile));
  enter_holder_cgroup(settings_.container_id);
  const Fd shutdown_signals = take_shutdown_signals();
  loop_.watch(shutdown_signals.get(), EPOLLIN, [this](std::uint32_t) {
    if (process_pid() != 0) sandbox().kill(SIGKILL);
  });
  start();
  starter_.report_started(process_pid());
  attach_starter();
  run_loop();
}

void ExecShim::start() {
  make_process();
  open_socket(fd_.get());
  started_at_ = format_time(now());
  ShimState state;
  state.status = ShimStatus::Running;
  state.pid = process_pid();
  state.pid_start_ticks = start_ticks_of(state.pid);
  state.shim_pid = ::getpid();
  state.started_at = started_at_;
  write_file_atomic(directory_ / kStateFile, to_json(state).dump(), Durability::Cached);
  execute();
}

void ExecShim::make_process() {
  ProcessSpec process = parse_process(read_json(directory_ / kProcessFile));
  if (settings_.tty && size().rows != 0) process.console_size = ConsoleSize{size().rows, size().columns};
  const ShimState container = shim_state_from_json(read_json(run_directory_ / kStateFile));
  if (container.pid == 0 || start_ticks_of(container.pid) != container.pid_start_ticks) {
    throw Error(ErrorKind::NotFound, "container " + settings_.container_id + " is not running");
  }
  std::optional<Cgroup> cgroup;
  if (!settings_.cgroup.empty()) cgroup = Cgroup::open(settings_.cgroup);
  JoinOptions options;
  options.id = settings_.container_id;
  if (!settings_.seccomp_filter.empty()) options.seccomp_filter = read_file(settings_.seccomp_filter);
  if (!settings_.user.empty()) options.user = UserRequest{settings_.user, {}};
  options.parent_death_signal = SIGKILL;
  const Streams streams = {settings_.tty, settings_.open_stdin, true};
  launch(streams, [&](const Stdio& stdio) {
    return exec_in(container.pid, process, stdio, cgroup ? &*cgroup : nullptr, options);
  });
}

void ExecShim::on_process_end(ExitStatus status) {
  ProcessExit exit;
  exit.exit_code = status.shell_code();
  exit.started_at = started_at_;
  exit.finished_at = format_time(now());
  try {
    write_file_atomic(directory_ / kExitFile, to_json(exit).dump(), Durability::Cached);
  } catch (const Error&) {
    // The container's run directory is being removed: nobody will ask.
  }
  server_.stop_listening();
  ::unlinkat(fd_.get(), std::string(kShimSocket).c_str(), 0);
  lock_.reset();
  exited_ = ExitedPayload{exit.exit_code, 0};
  server_.all_attached_exited(*exited_, {});
  for (const ClientId waiter : waiters_) server_.exited(waiter, *exited_, {});
  write_event(settings_.events, settings_.container_id, "exec_die",
              {{"execID", settings_.id}, {"exitCode", std::to_string(exit.exit_code)}});
  finish();
}

void ExecShim::on_signal(ClientId client, int signal, bool) {
  if (process_pid() == 0) throw Error(ErrorKind::NotFound, "the process is not running");
  sandbox().kill(signal);
  server_.done(client);
}

void ExecShim::on_attach(ClientId client) {
  if (exited_) server_.exited(client, *exited_, {});
}

void ExecShim::on_wait(ClientId client, WaitFor) {
  waiters_.push_back(client);
  on_attach(client);
}
void ExecShim::on_stop(ClientId, const StopPayload&) {
  refuse_for_exec();
}
void ExecShim::on_pause(ClientId, bool) {
  refuse_for_exec();
}
void ExecShim::on_network(ClientId, std::string_view, std::vector<Fd>) {
  refuse_for_exec();
}
void ExecShim::on_close_ports(ClientId, std::string_view) {
  refuse_for_exec();
}

}  // namespace ctr
