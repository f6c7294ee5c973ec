// The foreground of run and exec: waits for the process, hands signals on, and joins its terminal with ours.
#include <array>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "base/error.h"
#include "runtime/oci_commands.h"

namespace ctr {

namespace {

/// Our terminal without its own line editing; as it was afterwards.
class RawTerminal {
 public:
  explicit RawTerminal(int fd) : fd_(fd) {
    if (::tcgetattr(fd, &before_) != 0) return;
    termios raw = before_;
    ::cfmakeraw(&raw);
    is_raw_ = ::tcsetattr(fd, TCSANOW, &raw) == 0;
  }
  ~RawTerminal() {
    if (is_raw_) ::tcsetattr(fd_, TCSANOW, &before_);
  }
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;

 private:
  int fd_;
  termios before_{};
  bool is_raw_ = false;
};

void copy_size(int from, int to) {
  winsize size{};
  if (::ioctl(from, TIOCGWINSZ, &size) == 0) ::ioctl(to, TIOCSWINSZ, &size);
}

/// Signals that are ours to see and not the process's.
bool is_own_signal(int signal) {
  return signal == SIGCHLD || signal == SIGPIPE || signal == SIGURG || signal == SIGWINCH;
}

class Attendance {
 public:
  Attendance(Sandbox& process, int console, int signals) : process_(process), console_(console), signals_(signals) {}
  Attendance(const Attendance&) = delete;
  Attendance& operator=(const Attendance&) = delete;

  void run() {
    if (console_ >= 0) copy_size(STDIN_FILENO, console_);
    bool has_ended = false;
    while (!has_ended) {
      std::array<pollfd, 4> waiting = {pollfd{process_.pidfd(), POLLIN, 0}, pollfd{signals_, POLLIN, 0},
                                       pollfd{console_, POLLIN, 0},
                                       pollfd{reads_input_ ? STDIN_FILENO : -1, POLLIN, 0}};
      if (console_ < 0) waiting[3].fd = -1;
      if (::poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR)
        throw_errno(errno, "wait for the container");
      if ((waiting[1].revents & POLLIN) != 0) forward_signals();
      if (waiting[2].revents != 0) copy_output();
      if (waiting[3].revents != 0) copy_input();
      has_ended = waiting[0].revents != 0;
    }
    while (console_ >= 0) copy_output();
  }

 private:
  void forward_signals() {
    signalfd_siginfo info{};
    while (::read(signals_, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
      const int signal = static_cast<int>(info.ssi_signo);
      if (signal == SIGWINCH && console_ >= 0) copy_size(STDIN_FILENO, console_);
      if (is_own_signal(signal)) continue;
      try {
        process_.kill(signal);
      } catch (const Error&) {
        return;  // it is gone, which the next round sees
      }
    }
  }

  void copy_output() {
    pollfd ready{console_, POLLIN, 0};
    char buffer[16384];
    const bool has_more = ::poll(&ready, 1, 0) > 0;
    const ssize_t size = has_more ? ::read(console_, buffer, sizeof buffer) : 0;
    if (size > 0) return write_all(STDOUT_FILENO, as_bytes(std::string_view(buffer, static_cast<std::size_t>(size))));
    // EIO: nobody holds the other end. Otherwise there is nothing left after the process's end.
    console_ = -1;
  }

  void copy_input() {
    char buffer[4096];
    const ssize_t size = ::read(STDIN_FILENO, buffer, sizeof buffer);
    if (size > 0) return write_all(console_, as_bytes(std::string_view(buffer, static_cast<std::size_t>(size))));
    reads_input_ = false;
    constexpr char kEndOfInput = 4;
    write_all(console_, as_bytes(std::string_view(&kEndOfInput, 1)));
  }

  Sandbox& process_;
  int console_;
  bool reads_input_ = true;
  int signals_;
};

}  // namespace

SignalWatch::SignalWatch() {
  sigset_t all;
  ::sigfillset(&all);
  for (const int signal : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT}) ::sigdelset(&all, signal);
  check(::sigprocmask(SIG_BLOCK, &all, &before_), "block signals");
  signals_ = Fd(check(::signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK), "watch signals"));
}

SignalWatch::~SignalWatch() {
  ::sigprocmask(SIG_SETMASK, &before_, nullptr);
}

ExitStatus attend_process(Sandbox& process, const Fd& console, const SignalWatch& signals) {
  std::optional<RawTerminal> raw;
  if (console) raw.emplace(STDIN_FILENO);
  Attendance(process, console ? console.get() : -1, signals.fd()).run();
  return process.wait();
}

}  // namespace ctr
