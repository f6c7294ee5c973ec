#include "shim/process_holder.h"

#include <csignal>
#include <fcntl.h>
#include <malloc.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/text.h"
#include "base/unix_socket.h"

namespace ctr {

ProcessHolder::ProcessHolder(Starter& starter)
    : starter_(starter),
      server_(loop_, *this),
      relay_(loop_, {[this](LogStream stream, std::string_view bytes) { take_output(stream, bytes); },
                     [this](std::uint64_t client, std::size_t bytes) { server_.stdin_taken(client, bytes); }}),
      size_(starter.begin().size) {}

void ProcessHolder::take_output(LogStream stream, std::string_view bytes) {
  on_output(stream, bytes);
  server_.broadcast(stream, bytes);
  if (!server_.has_room()) relay_.pause();
}

void ProcessHolder::on_stdin_end(ClientId) {
  if (streams_.ends_stdin) relay_.end_input();
}

void ProcessHolder::on_resize(SizePayload size) {
  size_ = size;
  relay_.resize(size);
}

void ProcessHolder::launch(const Streams& streams, const std::function<Sandbox(const Stdio&)>& make) {
  streams_ = streams;
  sandbox_.reset();
  if (streams.tty) {
    const Fd null = open_file("/dev/null", O_RDWR);
    sandbox_ = make({null.get(), null.get(), null.get()});
    relay_.start_terminal(sandbox_->take_console());
  } else {
    Pipe in = streams.open_stdin ? make_pipe() : Pipe{open_file("/dev/null", O_RDONLY), Fd()};
    Pipe out = make_pipe();
    Pipe err = make_pipe();
    sandbox_ = make({in.read.get(), out.write.get(), err.write.get()});
    relay_.start_pipes(std::move(in.write), std::move(out.read), std::move(err.read));
  }
  // A client of the run before may still be behind.
  if (!server_.has_room()) relay_.pause();
  loop_.watch(sandbox_->pidfd(), EPOLLIN, [this](std::uint32_t) { process_ended(); });
}

void ProcessHolder::discard() {
  if (!sandbox_) return;
  loop_.forget(sandbox_->pidfd());
  sandbox_.reset();
  relay_.finish();
}

void ProcessHolder::process_ended() {
  loop_.forget(sandbox_->pidfd());
  const ExitStatus status = sandbox_->wait();
  relay_.finish();
  sandbox_.reset();
  on_process_end(status);
}

void ProcessHolder::open_socket(int directory) {
  Fd socket = listen_seqpacket(directory, std::string(kShimSocket));
  check(::fcntl(socket.get(), F_SETFL, O_NONBLOCK), "set a socket non-blocking");
  server_.listen(std::move(socket));
}

void ProcessHolder::attach_starter() {
  Fd connection = starter_.take();
  if (connection && starter_.begin().streams != 0) server_.adopt(std::move(connection), starter_.begin().streams);
}

void ProcessHolder::run_loop() {
  release_heap();
  while (!is_finished_ || server_.has_unsent()) {
    try {
      loop_.run_once(is_finished_ ? 1000 : -1);
    } catch (const std::exception&) {
      // One event went wrong, such as a state file on a full disk. There is nobody to tell, and the process must live.
    }
  }
}

void release_heap() {
  ::malloc_trim(0);
}

std::uint64_t start_ticks_of(pid_t pid) {
  const std::optional<std::string> stat = find_file("/proc/" + std::to_string(pid) + "/stat", 4096);
  if (!stat) return 0;
  // The second field is a name in parentheses that may hold anything.
  const std::size_t name_end = stat->rfind(')');
  if (name_end == std::string::npos) return 0;
  const std::vector<std::string> fields = split_words(std::string_view(*stat).substr(name_end + 1));
  constexpr std::size_t kStartTime = 22 - 3;
  return fields.size() > kStartTime ? parse_uint(fields[kStartTime]).value_or(0) : 0;
}

}  // namespace ctr
