// Child processes: start a program with given streams, wait for it by pidfd, collect what it prints. Programs get no
// descriptor but 0, 1, 2 and those that are named.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/file.h"

namespace ctr {

/// How a process ended: its exit code, or 128 + the signal that ended it.
struct ExitStatus {
  int code = 0;
  int signal = 0;

  /// The code as a shell sees it.
  int shell_code() const noexcept { return signal != 0 ? 128 + signal : code; }
  bool success() const noexcept { return code == 0 && signal == 0; }
};

/// From the status of waitpid.
ExitStatus exit_status_of(int wait_status) noexcept;

struct Command {
  std::vector<std::string> argv;
  /// The whole environment; the caller's when absent.
  std::optional<std::vector<std::string>> env;
  fs::path cwd;
  /// Borrowed descriptors for 0, 1 and 2; -1 is /dev/null, -2 is the caller's own.
  int standard_in = -1;
  int standard_out = -2;
  int standard_error = -2;
  /// Borrowed descriptors that the program gets besides, as (own, number in the child); numbers from 3.
  std::vector<std::pair<int, int>> passed_fds;
  /// A session of its own, without a controlling terminal.
  bool new_session = false;
};

/// A running child. Destroying it neither waits nor kills.
class ChildProcess {
 public:
  ChildProcess(pid_t pid, Fd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}

  pid_t pid() const noexcept { return pid_; }
  /// Readable when the child has ended.
  int pidfd() const noexcept { return pidfd_.get(); }
  void kill(int signal) const;
  ExitStatus wait();

 private:
  pid_t pid_;
  Fd pidfd_;
};

/// Starts the program; argv[0] is looked up in PATH unless it holds a slash. Throws NotFound when there is none.
ChildProcess spawn(const Command& command);

struct CommandOutput {
  ExitStatus status;
  std::string standard_out;
  std::string standard_error;
};

/// Runs the program to its end, feeding `input` and collecting both outputs, each up to `limit` bytes.
CommandOutput run_command(Command command, std::string_view input = {}, std::uint64_t limit = 16 * kMiB);

/// What exec takes: pointers into the texts, which must outlive it, and a null.
std::vector<char*> exec_array(const std::vector<std::string>& texts);

/// The file that argv[0] would start, or nothing.
std::optional<fs::path> find_program(std::string_view name);

/// Holds the path of a program that was executed again from a protected copy of itself.
inline constexpr const char* kOwnProgramVariable = "CTR_OWN_PROGRAM";

/// The directory of the running program, resolved.
fs::path own_program_directory();
/// A program or module that belongs to ctr: beside the running program, or in ../libexec/ctr/. Throws NotFound.
fs::path own_companion(std::string_view name);

/// Signal numbers by name: "TERM", "SIGTERM", "15", "RTMIN+3". Nothing when there is no such signal.
std::optional<int> parse_signal(std::string_view text);
/// "SIGTERM"; "SIGRTMIN+3"; the number when it has no name.
std::string signal_name(int signal);

}  // namespace ctr
