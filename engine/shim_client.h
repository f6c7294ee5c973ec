// Talks to shims: starts one, asks a living one for things over its socket, and reads the files that it leaves. Knows
// the protocol (shim/protocol.h) and nothing about what a container is.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"
#include "shim/protocol.h"

namespace ctr {

struct NetworkService;  // runtime/network_service.h
struct PublishedPort;

struct TerminalSize {
  std::uint16_t rows = 0;
  std::uint16_t columns = 0;
};

struct ShimRequest {
  fs::path shim_program;   // ctr-shim
  fs::path container_dir;  // $CTR_ROOT/containers/<id>: config.json and record.json are there
  fs::path run_dir;        // $CTR_RUN/containers/<id>: exists
  std::string exec_id;     // not empty: hold an exec'd process; run_dir/exec/<exec_id>/ has exec.json and process.json
  std::uint32_t attach_streams = 0;  // kAttachStdin | …: the starter is attached from the first byte. 0: detached
  const NetworkService* network = nullptr;  // what the shim serves for the container's network; borrowed
  TerminalSize terminal;                    // with a terminal: its size before the first instruction; zeros: none
};

struct StartedShim {
  pid_t pid = 0;  // of the process, in this pid namespace
  Fd connection;  // for attach(); empty if attach_streams was 0
};

/// The process could not be started. The sentence is the shim's; the status is what `ctr run` ends with.
class ShimStartError : public Error {
 public:
  ShimStartError(ErrorKind kind, const std::string& message, int error_number, int exit_status)
      : Error(kind, message, error_number), exit_status_(exit_status) {}
  /// 127: no such program; 126: it can't be executed; 125: anything else.
  int exit_status() const noexcept { return exit_status_; }

 private:
  int exit_status_;
};

/// Starts a shim and returns when its process has been executed. Throws ShimStartError; Busy if there is a living shim.
StartedShim start_shim(const ShimRequest& request);

/// A conversation with a living shim.
class ShimConnection {
 public:
  /// `directory` is the run directory of a container or of an exec. Nothing if its shim is dead.
  static std::optional<ShimConnection> connect(const fs::path& directory);

  /// The process's pid; 0 while it is between two runs.
  pid_t pid() const noexcept { return pid_; }

  /// `kill` and proxied signals: ends the process at once when it would never take the signal (design, "Stop means
  /// stop").
  void signal(int number);
  /// Returns when the process has ended and will not be restarted.
  void stop(std::int32_t signal, std::int32_t timeout_seconds);
  void pause();
  void unpause();
  void resize(TerminalSize size);
  /// Serves more of the container's network, or less.
  void add_network(const NetworkService& service);
  void close_ports(const std::vector<PublishedPort>& ports);
  /// Nothing if the shim died without telling.
  std::optional<ProcessExit> wait(WaitFor condition);
  /// Attaches and hands out the connection for attach().
  Fd attach(std::uint32_t streams) &&;

 private:
  ShimConnection(Fd socket, pid_t pid) : socket_(std::move(socket)), pid_(pid) {}
  void send(MessageType type, std::string_view payload, std::span<const int> fds = {});
  void request(MessageType type, std::string_view payload);

  Fd socket_;
  pid_t pid_;
};

/// Whether the shim of this run directory (a container's or an exec's) lives: somebody holds its lock.
bool is_shim_alive(const fs::path& directory);

std::optional<ShimState> find_shim_state(const fs::path& directory);
std::optional<HealthReport> find_health_report(const fs::path& directory);
/// `directory` is the container's under $CTR_ROOT, or the exec's under $CTR_RUN.
std::optional<ProcessExit> find_process_exit(const fs::path& directory);

}  // namespace ctr
