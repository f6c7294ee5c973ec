#include "engine/attach_client.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "base/time.h"
#include "engine/detach_keys.h"
#include "engine/shim_messages.h"

namespace ctr {

namespace {

/// What a pipe that polls as writable takes without making us wait, so that signals are seen meanwhile.
constexpr std::size_t kWriteChunk = 4096;
constexpr int kInterruptsToLeave = 3;
constexpr std::int64_t kInterruptsWithinMs = 2000;

/// The terminal in raw mode; as before at the end. The shim knows how it was, should we be killed.
class RawTerminal {
 public:
  RawTerminal(int terminal, int connection) : terminal_(terminal), connection_(connection) {
    check(::tcgetattr(terminal_, &before_), "read the terminal's mode");
    during_ = before_;
    ::cfmakeraw(&during_);
    TerminalPayload payload = {};
    static_assert(sizeof before_ <= sizeof payload.before);
    std::memcpy(payload.before.data(), &before_, sizeof before_);
    std::memcpy(payload.during.data(), &during_, sizeof during_);
    const int fds[] = {terminal_};
    send_shim_message(connection_, MessageType::Terminal, payload_bytes(payload), fds);
    check(::tcsetattr(terminal_, TCSANOW, &during_), "set the terminal to raw mode");
  }
  ~RawTerminal() {
    ::tcsetattr(terminal_, TCSANOW, &before_);
    try {
      send_shim_message(connection_, MessageType::Terminal);
    } catch (const Error&) {
      // The shim has gone: nobody else will touch the terminal.
    }
  }
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;

 private:
  int terminal_;
  int connection_;
  struct termios before_ = {};
  struct termios during_ = {};
};

/// Signals as readable events while this lives.
class SignalEvents {
 public:
  explicit SignalEvents(const sigset_t& signals) {
    check(::sigprocmask(SIG_BLOCK, &signals, &before_), "block signals");
    fd_ = Fd(check(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK), "make a signal descriptor"));
  }
  ~SignalEvents() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }
  SignalEvents(const SignalEvents&) = delete;
  SignalEvents& operator=(const SignalEvents&) = delete;

  int fd() const noexcept { return fd_.get(); }
  /// The next one, or 0.
  int take() const {
    signalfd_siginfo info;
    const ssize_t count = ::read(fd_.get(), &info, sizeof info);
    return count == sizeof info ? static_cast<int>(info.ssi_signo) : 0;
  }

 private:
  sigset_t before_;
  Fd fd_;
};

/// With a proxy: all that a person or program may send us. Else what would end us with the terminal in raw mode.
sigset_t signals_to_take(const AttachOptions& options) {
  sigset_t signals;
  ::sigemptyset(&signals);
  if (options.sig_proxy) {
    ::sigfillset(&signals);
    for (const int own :
         {SIGCHLD, SIGPIPE, SIGURG, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS, SIGTTIN, SIGTTOU}) {
      ::sigdelset(&signals, own);
    }
  } else if (options.tty) {
    for (const int ending : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) ::sigaddset(&signals, ending);
  }
  // Without a terminal of its own the process is not told of ours: some end at this signal.
  if (options.tty) {
    ::sigaddset(&signals, SIGWINCH);
  } else {
    ::sigdelset(&signals, SIGWINCH);
  }
  return signals;
}

class Attachment {
 public:
  Attachment(Fd connection, const AttachOptions& options)
      : connection_(std::move(connection)),
        options_(options),
        signals_(signals_to_take(options)),
        detach_keys_(options.tty ? parse_detach_keys(options.detach_keys) : std::string()),
        input_(options.input) {}

  AttachEnd run();

 private:
  void read_input();
  void end_input();
  void handle_signals();
  void handle_message();
  void write_output(int fd, std::string_view bytes);
  void send_size();
  void redraw();
  int size_terminal() const { return ::isatty(options_.output) == 1 ? options_.output : options_.input; }
  void finish(AttachEnd::Kind kind, int status = 0) {
    if (end_) return;
    end_ = AttachEnd();
    end_->kind = kind;
    end_->status = status;
  }

  Fd connection_;
  const AttachOptions& options_;
  SignalEvents signals_;
  DetachKeys detach_keys_;
  int input_;  // -1: nothing more is read
  std::size_t input_on_way_ = 0;
  std::vector<std::int64_t> interrupts_ms_;
  ShimMessage message_;
  std::optional<AttachEnd> end_;
};

AttachEnd Attachment::run() {
  std::optional<RawTerminal> raw;
  if (options_.tty && options_.input >= 0 && ::isatty(options_.input) == 1)
    raw.emplace(options_.input, connection_.get());
  if (options_.tty) {
    if (options_.redraw) redraw();
    send_size();
  }
  while (!end_) {
    const bool may_read = input_ >= 0 && input_on_way_ + kMaxPayload <= kStdinWindow;
    pollfd events[3] = {
        {connection_.get(), POLLIN, 0}, {signals_.fd(), POLLIN, 0}, {may_read ? input_ : -1, POLLIN, 0}};
    if (::poll(events, 3, -1) < 0 && errno != EINTR) throw_errno(errno, "poll");
    try {
      if (events[1].revents != 0) handle_signals();
      if (!end_ && events[0].revents != 0) handle_message();
      if (!end_ && events[2].revents != 0) read_input();
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::Unavailable) throw;
      // We could not send because the shim has closed; what it said before that is still to be read.
      end_input();
      while (!end_) handle_message();
    }
  }
  return *end_;
}

void Attachment::read_input() {
  std::array<char, kMaxPayload> buffer;
  const ssize_t count = ::read(input_, buffer.data(), buffer.size());
  if (count < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (count <= 0) {
    end_input();
    send_shim_message(connection_.get(), MessageType::StdinEnd);
    return;
  }
  std::string bytes(buffer.data(), static_cast<std::size_t>(count));
  if (options_.tty) {
    const bool is_detached = detach_keys_.filter(bytes);
    if (is_detached) finish(AttachEnd::Kind::Detached);
  }
  // A sequence that was held back can make it a little more than was read.
  for (std::string_view rest = bytes; !rest.empty(); rest.remove_prefix(std::min(rest.size(), kMaxPayload))) {
    const std::string_view part = rest.substr(0, kMaxPayload);
    input_on_way_ += part.size();
    send_shim_message(connection_.get(), MessageType::Stdin, part);
  }
}

void Attachment::end_input() {
  input_ = -1;
}

void Attachment::handle_signals() {
  while (const int signal = signals_.take()) {
    if (signal == SIGWINCH && options_.tty) {
      send_size();
      continue;
    }
    if (!options_.sig_proxy) {
      finish(AttachEnd::Kind::Signalled, signal);
      return;
    }
    send_shim_message(connection_.get(), MessageType::Signal, payload_bytes(SignalPayload{signal}));
    if (signal != SIGINT && signal != SIGTERM) continue;
    const std::int64_t now_ms = monotonic_ms();
    std::erase_if(interrupts_ms_, [&](std::int64_t when) { return when < now_ms - kInterruptsWithinMs; });
    interrupts_ms_.push_back(now_ms);
    if (interrupts_ms_.size() >= kInterruptsToLeave) finish(AttachEnd::Kind::Signalled, signal);
  }
}

void Attachment::handle_message() {
  if (!receive_shim_message(connection_.get(), message_)) {
    finish(AttachEnd::Kind::Lost);
    return;
  }
  switch (message_.type) {
    case MessageType::Stdout:
      write_output(options_.output, message_.payload);
      break;
    case MessageType::Stderr:
      write_output(options_.error, message_.payload);
      break;
    case MessageType::StdinTaken:
      input_on_way_ -= std::min<std::size_t>(input_on_way_, payload_of<CountPayload>(message_).bytes);
      break;
    case MessageType::Exited: {
      const auto exited = payload_of<ExitedPayload>(message_);
      finish(AttachEnd::Kind::Exited, exited.exit_code);
      end_->oom_killed = (exited.flags & kExitedOom) != 0;
      end_->message = sentence_of<ExitedPayload>(message_);
      break;
    }
    case MessageType::Dropped:
      finish(AttachEnd::Kind::Dropped);
      end_->message = message_.payload;
      break;
    default:
      break;  // answers to signals: a process that has gone needs none
  }
}

/// Waits for our reader without losing sight of signals. Others may share the descriptor, so it stays blocking.
void Attachment::write_output(int fd, std::string_view bytes) {
  if (fd < 0) return;
  while (!bytes.empty() && !end_) {
    pollfd events[2] = {{fd, POLLOUT, 0}, {signals_.fd(), POLLIN, 0}};
    if (::poll(events, 2, -1) < 0 && errno != EINTR) throw_errno(errno, "poll");
    if (events[1].revents != 0) handle_signals();
    if (events[0].revents == 0) continue;
    const ssize_t count = ::write(fd, bytes.data(), std::min(bytes.size(), kWriteChunk));
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (count < 0 && (errno == EPIPE || errno == EIO)) {
      finish(AttachEnd::Kind::Signalled, SIGPIPE);
      return;
    }
    check(count, "write output");
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
}

void Attachment::send_size() {
  const TerminalSize size = terminal_size(size_terminal());
  if (size.rows == 0) return;
  send_shim_message(connection_.get(), MessageType::Resize, payload_bytes(SizePayload{size.rows, size.columns}));
}

/// A program redraws when its terminal's size changes, and only then.
void Attachment::redraw() {
  const TerminalSize size = terminal_size(size_terminal());
  if (size.rows == 0) return;
  const SizePayload other = {static_cast<std::uint16_t>(size.rows + 1), static_cast<std::uint16_t>(size.columns + 1)};
  send_shim_message(connection_.get(), MessageType::Resize, payload_bytes(other));
}

/// A write to a closed pipe is to be an error and not our end, with the terminal as it is.
class IgnoredPipeSignal {
 public:
  IgnoredPipeSignal() {
    struct sigaction ignore = {};
    ignore.sa_handler = SIG_IGN;
    ::sigaction(SIGPIPE, &ignore, &before_);
  }
  ~IgnoredPipeSignal() { ::sigaction(SIGPIPE, &before_, nullptr); }
  IgnoredPipeSignal(const IgnoredPipeSignal&) = delete;
  IgnoredPipeSignal& operator=(const IgnoredPipeSignal&) = delete;

 private:
  struct sigaction before_ = {};
};

}  // namespace

AttachEnd attach(Fd connection, const AttachOptions& options) {
  const IgnoredPipeSignal ignored;
  return Attachment(std::move(connection), options).run();
}

TerminalSize terminal_size(int fd) {
  winsize size = {};
  if (fd < 0 || ::ioctl(fd, TIOCGWINSZ, &size) != 0) return {};
  return {size.ws_row, size.ws_col};
}

}  // namespace ctr
