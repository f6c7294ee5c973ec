// The shim of one more process in a running container: joins the container, holds the process, leaves its exit status.
// It has no log, no restarts, no stop: it ends with its process or, through the kernel, with the container.
#pragma once

#include <optional>
#include <vector>

#include "base/lock.h"
#include "shim/process_holder.h"

namespace ctr {

class ExecShim final : public ProcessHolder {
 public:
  /// `run_directory` is the container's; the exec's own is exec/<exec_id> in it.
  ExecShim(Starter& starter, fs::path run_directory, const std::string& exec_id);

  /// Starts the process, reports to the starter and returns after the process's end. Throws what was not yet reported.
  void run();

  void on_attach(ClientId client) override;
  void on_signal(ClientId client, int signal, bool is_raw) override;
  void on_stop(ClientId client, const StopPayload& stop) override;
  void on_pause(ClientId client, bool pause) override;
  void on_wait(ClientId client, WaitFor condition) override;
  void on_network(ClientId client, std::string_view json, std::vector<Fd> fds) override;
  void on_close_ports(ClientId client, std::string_view json) override;

 private:
  void on_output(LogStream, std::string_view) override {}
  void on_process_end(ExitStatus status) override;
  void start();
  void make_process();

  fs::path run_directory_;
  fs::path directory_;
  Fd fd_;
  std::optional<FileLock> lock_;
  ExecSettings settings_;
  std::string started_at_;
  std::optional<ExitedPayload> exited_;
  std::vector<ClientId> waiters_;
};

}  // namespace ctr
