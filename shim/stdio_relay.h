// The shim's end of the process's streams: reads what it writes, from two pipes or a terminal, and feeds it what
// clients type. Output is handed on in whole lines where more of a line is there to be read, and never kept: what was
// read has been handed on when the handler returns. Knows neither logs nor clients.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "shim/event_loop.h"
#include "shim/protocol.h"

namespace ctr {

class StdioRelay {
 public:
  struct Handlers {
    /// Takes output. May call pause().
    std::function<void(LogStream, std::string_view)> output;
    /// So many bytes of a client's input went into the process, or were thrown away because it does not read any more.
    std::function<void(std::uint64_t client, std::size_t bytes)> taken;
  };

  StdioRelay(EventLoop& loop, Handlers handlers);
  ~StdioRelay();
  StdioRelay(const StdioRelay&) = delete;
  StdioRelay& operator=(const StdioRelay&) = delete;

  /// Our ends of the pipes; `in` may be empty (nothing is ever typed). The descriptors become non-blocking.
  void start_pipes(Fd in, Fd out, Fd err);
  void start_terminal(Fd master);

  void write(std::uint64_t client, std::string_view bytes);
  /// Closes the process's stdin when all before has gone into it. A terminal stays open.
  void end_input();
  void resize(SizePayload size);

  void pause();
  void resume();
  /// After the end of the process: hands on all that it left, whether paused or not, and closes everything.
  void finish();
  bool has_terminal() const noexcept { return static_cast<bool>(terminal_); }

 private:
  struct Input {
    std::uint64_t client;
    std::string bytes;
    std::size_t done = 0;
  };
  enum class ReadMode { Fair, Everything };

  int input_fd() const noexcept { return terminal_ ? terminal_.get() : in_.get(); }
  void read_output(Fd& source, LogStream stream, ReadMode mode);
  void write_input();
  void discard_input();
  void watch_all();
  void update_terminal();
  void watch_source(Fd& source, LogStream stream);

  EventLoop& loop_;
  Handlers handlers_;
  Fd in_;
  Fd out_;
  Fd err_;
  Fd terminal_;
  std::deque<Input> input_;
  bool ends_input_ = false;
  bool is_paused_ = false;
  bool watches_input_ = false;
  std::uint32_t terminal_interest_ = 0;
};

}  // namespace ctr
