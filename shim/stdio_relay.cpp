#include "shim/stdio_relay.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/error.h"

namespace ctr {

namespace {

constexpr std::size_t kBufferSize = 32 * 1024;
/// A line longer than this is handed on in pieces.
constexpr std::size_t kMaxCarry = 16 * 1024;
/// Reads in a row from one stream before others have their turn.
constexpr std::size_t kFairReads = 8;
/// More than a terminal keeps of its output.
constexpr std::size_t kTerminalCapacity = 256 * 1024;

void make_non_blocking(const Fd& fd) {
  if (fd) check(::fcntl(fd.get(), F_SETFL, O_NONBLOCK), "set a stream non-blocking");
}

std::size_t capacity_of(const Fd& source) {
  const int size = ::fcntl(source.get(), F_GETPIPE_SZ);
  return size > 0 ? static_cast<std::size_t>(size) : kTerminalCapacity;
}

}  // namespace

StdioRelay::StdioRelay(EventLoop& loop, Handlers handlers) : loop_(loop), handlers_(std::move(handlers)) {}

StdioRelay::~StdioRelay() {
  for (const Fd* fd : {&in_, &out_, &err_, &terminal_}) loop_.forget(fd->get());
}

void StdioRelay::start_pipes(Fd in, Fd out, Fd err) {
  in_ = std::move(in);
  out_ = std::move(out);
  err_ = std::move(err);
  for (const Fd* fd : {&in_, &out_, &err_}) make_non_blocking(*fd);
  ends_input_ = false;
  watch_all();
}

void StdioRelay::start_terminal(Fd master) {
  terminal_ = std::move(master);
  make_non_blocking(terminal_);
  ends_input_ = false;
  watch_all();
}

void StdioRelay::watch_all() {
  if (is_paused_) return;
  watch_source(out_, LogStream::Stdout);
  watch_source(err_, LogStream::Stderr);
  update_terminal();
}

void StdioRelay::watch_source(Fd& source, LogStream stream) {
  if (!source) return;
  loop_.watch(source.get(), EPOLLIN,
              [this, &source, stream](std::uint32_t) { read_output(source, stream, ReadMode::Fair); });
}

/// One descriptor for both directions: watched for what is wanted of it now. It is forgotten while nothing is, because
/// a hang-up would be reported all the same.
void StdioRelay::update_terminal() {
  if (!terminal_) return;
  const std::uint32_t wanted = (is_paused_ ? 0U : EPOLLIN) | (input_.empty() ? 0U : EPOLLOUT);
  if (wanted == terminal_interest_) return;
  terminal_interest_ = wanted;
  loop_.forget(terminal_.get());
  if (wanted == 0) return;
  loop_.watch(terminal_.get(), wanted, [this](std::uint32_t events) {
    if ((events & EPOLLOUT) != 0) write_input();
    if (terminal_ && !is_paused_ && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
      read_output(terminal_, LogStream::Stdout, ReadMode::Fair);
    }
  });
}

void StdioRelay::read_output(Fd& source, LogStream stream, ReadMode mode) {
  char buffer[kBufferSize];
  std::size_t carried = 0;  // the beginning of a line, at the buffer's front
  bool is_ended = false;
  // A finished process left at most what its pipe holds; should others still write to it, that is their affair.
  const std::size_t most = mode == ReadMode::Everything ? capacity_of(source) : kFairReads * kBufferSize;
  std::size_t total = 0;
  while (total < most) {
    const std::size_t room = sizeof buffer - carried;
    const ssize_t count = ::read(source.get(), buffer + carried, room);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) break;
    // EIO: nobody has the terminal open any more.
    if (count <= 0) {
      is_ended = true;
      break;
    }
    total += static_cast<std::size_t>(count);
    const std::size_t length = carried + static_cast<std::size_t>(count);
    const void* newline = ::memrchr(buffer, '\n', length);
    std::size_t whole =
        newline == nullptr ? 0 : static_cast<std::size_t>(static_cast<const char*>(newline) - buffer) + 1;
    if (length - whole >= kMaxCarry) whole = length;
    if (whole != 0) handlers_.output(stream, std::string_view(buffer, whole));
    carried = length - whole;
    if (carried != 0 && whole != 0) std::memmove(buffer, buffer + whole, carried);
    const bool is_drained = static_cast<std::size_t>(count) < room && carried == 0;
    if ((is_drained || is_paused_) && mode == ReadMode::Fair) break;
  }
  if (carried != 0) handlers_.output(stream, std::string_view(buffer, carried));
  if (!is_ended) return;
  loop_.forget(source.get());
  source.reset();
  if (&source != &terminal_) return;
  terminal_interest_ = 0;
  discard_input();
}

void StdioRelay::write(std::uint64_t client, std::string_view bytes) {
  if (input_fd() < 0 || ends_input_) {
    handlers_.taken(client, bytes.size());
    return;
  }
  input_.push_back({client, std::string(bytes)});
  write_input();
}

void StdioRelay::write_input() {
  while (!input_.empty()) {
    Input& next = input_.front();
    const ssize_t count = ::write(input_fd(), next.bytes.data() + next.done, next.bytes.size() - next.done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) break;
    if (count < 0) {
      discard_input();
      break;
    }
    next.done += static_cast<std::size_t>(count);
    const std::uint64_t client = next.client;
    if (next.done == next.bytes.size()) input_.pop_front();
    handlers_.taken(client, static_cast<std::size_t>(count));
  }
  if (terminal_) {
    update_terminal();
    return;
  }
  if (input_.empty() == watches_input_) {
    watches_input_ = !watches_input_;
    if (watches_input_) {
      loop_.watch(in_.get(), EPOLLOUT, [this](std::uint32_t) { write_input(); });
    } else {
      loop_.forget(in_.get());
    }
  }
  if (input_.empty() && ends_input_) in_.reset();
}

/// The process reads no more: what is left goes nowhere, and so will all that comes.
void StdioRelay::discard_input() {
  ends_input_ = true;
  const std::deque<Input> rest = std::move(input_);
  input_.clear();
  for (const Input& input : rest) handlers_.taken(input.client, input.bytes.size() - input.done);
}

void StdioRelay::end_input() {
  if (terminal_ || !in_) return;
  ends_input_ = true;
  write_input();
}

void StdioRelay::resize(SizePayload size) {
  if (!terminal_) return;
  winsize value = {};
  value.ws_row = size.rows;
  value.ws_col = size.columns;
  // A terminal that has hung up has no size; nobody is left to care.
  ::ioctl(terminal_.get(), TIOCSWINSZ, &value);
}

void StdioRelay::pause() {
  if (is_paused_) return;
  is_paused_ = true;
  for (const Fd* fd : {&out_, &err_}) loop_.forget(fd->get());
  update_terminal();
}

void StdioRelay::resume() {
  if (!is_paused_) return;
  is_paused_ = false;
  watch_all();
}

void StdioRelay::finish() {
  if (terminal_) read_output(terminal_, LogStream::Stdout, ReadMode::Everything);
  if (out_) read_output(out_, LogStream::Stdout, ReadMode::Everything);
  if (err_) read_output(err_, LogStream::Stderr, ReadMode::Everything);
  discard_input();
  for (Fd* fd : {&in_, &out_, &err_, &terminal_}) {
    loop_.forget(fd->get());
    fd->reset();
  }
  watches_input_ = false;
  terminal_interest_ = 0;
  is_paused_ = false;
}

}  // namespace ctr
