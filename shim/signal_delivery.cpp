#include "shim/signal_delivery.h"

#include <csignal>
#include <string>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace ctr {

namespace {

constexpr std::uint64_t kStatusLimit = 64 * 1024;

bool has(std::uint64_t mask, int signal) {
  return (mask >> (signal - 1) & 1) != 0;
}

void send(int pidfd, int signal) {
  check(::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0), "send signal", signal);
}

std::optional<SignalMasks> masks_of(const fs::path& status_file) {
  try {
    const std::optional<std::string> status = find_file(status_file, kStatusLimit);
    return status ? parse_signal_masks(*status) : std::nullopt;
  } catch (const Error&) {
    return std::nullopt;  // the process went away while it was read
  }
}

/// Thaws at the end, whatever happened in between.
class Frozen {
 public:
  explicit Frozen(const Cgroup& cgroup) : cgroup_(cgroup) { cgroup_.freeze(); }
  ~Frozen() {
    try {
      cgroup_.thaw();
    } catch (const Error&) {
      // It is gone, and its processes with it.
    }
  }
  Frozen(const Frozen&) = delete;
  Frozen& operator=(const Frozen&) = delete;

 private:
  const Cgroup& cgroup_;
};

/// After the signal was sent to a process that stands still.
SignalFate look_at_frozen(pid_t pid, int signal) {
  const auto masks = masks_of("/proc/" + std::to_string(pid) + "/status");
  if (!masks || has(masks->pending | masks->ignored | masks->caught, signal)) return SignalFate::Taken;
  return SignalFate::NeverTaken;
}

/// Without a freezer: whether not one thread could ever take it, as its masks say before it is sent.
bool nobody_would_take(pid_t pid, int signal) {
  const fs::path tasks = "/proc/" + std::to_string(pid) + "/task";
  const std::vector<std::string> threads = list_directory(tasks);
  for (const std::string& thread : threads) {
    const auto masks = masks_of(tasks / thread / "status");
    if (!masks || has(masks->blocked | masks->ignored | masks->caught, signal)) return false;
  }
  return !threads.empty();
}

/// The kernel drops signals only for the first process of a pid namespace.
bool is_first_of_its_namespace(pid_t pid) {
  try {
    const std::optional<std::string> status = find_file("/proc/" + std::to_string(pid) + "/status", kStatusLimit);
    if (!status) return false;
    const std::size_t line = status->find("\nNSpid:");
    if (line == std::string::npos) return false;
    const std::string_view rest = std::string_view(*status).substr(line + 1);
    const std::vector<std::string> words = split_words(rest.substr(0, rest.find('\n')));
    return words.size() > 2 && words.back() == "1";
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

bool ends_by_default(int signal) noexcept {
  switch (signal) {
    case SIGCHLD:
    case SIGCONT:
    case SIGURG:
    case SIGWINCH:
    case SIGSTOP:
    case SIGTSTP:
    case SIGTTIN:
    case SIGTTOU:
      return false;
    default:
      return true;
  }
}

std::optional<SignalMasks> parse_signal_masks(std::string_view status) {
  SignalMasks masks;
  int found = 0;
  const auto take = [&](std::string_view line, std::string_view name, std::uint64_t& mask) {
    if (!line.starts_with(name)) return;
    const auto value = parse_uint(trim(line.substr(name.size())), 16);
    if (!value) return;
    mask = *value;
    ++found;
  };
  while (!status.empty()) {
    const std::size_t end = std::min(status.find('\n'), status.size() - 1);
    const std::string_view line = status.substr(0, end + 1);
    take(line, "ShdPnd:", masks.pending);
    take(line, "SigBlk:", masks.blocked);
    take(line, "SigIgn:", masks.ignored);
    take(line, "SigCgt:", masks.caught);
    status.remove_prefix(end + 1);
  }
  return found == 4 ? std::optional(masks) : std::nullopt;
}

SignalFate deliver_signal(int pidfd, pid_t pid, const Cgroup* cgroup, int signal) {
  if (signal == SIGKILL || !ends_by_default(signal) || !is_first_of_its_namespace(pid)) {
    send(pidfd, signal);
    return SignalFate::Taken;
  }
  if (cgroup != nullptr && cgroup->can_freeze()) {
    if (cgroup->is_frozen()) {
      send(pidfd, signal);
      return look_at_frozen(pid, signal);
    }
    const Frozen frozen(*cgroup);
    send(pidfd, signal);
    return look_at_frozen(pid, signal);
  }
  const bool is_for_nobody = nobody_would_take(pid, signal);
  send(pidfd, signal);
  return is_for_nobody ? SignalFate::NeverTaken : SignalFate::Taken;
}

}  // namespace ctr
