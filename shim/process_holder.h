// What a shim does for its one process, whichever kind it is: connects its streams with log and clients, passes on
// sizes and input, notices its end. ContainerShim and ExecShim say how the process is made and what its end means.
#pragma once

#include <functional>
#include <optional>
#include <sys/types.h>

#include "base/fd.h"
#include "runtime/sandbox.h"
#include "shim/attach_server.h"
#include "shim/event_loop.h"
#include "shim/starter.h"
#include "shim/stdio_relay.h"

namespace ctr {

class ProcessHolder : public AttachHost {
 public:
  explicit ProcessHolder(Starter& starter);

  pid_t process_pid() const override { return sandbox_ ? sandbox_->pid() : 0; }
  void on_stdin(ClientId client, std::string_view bytes) override { relay_.write(client, bytes); }
  void on_stdin_end(ClientId client) override;
  void on_resize(SizePayload size) override;
  void on_room() override { relay_.resume(); }

 protected:
  struct Streams {
    bool tty = false;
    bool open_stdin = false;
    bool ends_stdin = false;  // when a client ends its own
  };

  /// Makes the streams and the process at its gate. A process of before must have ended.
  void launch(const Streams& streams, const std::function<Sandbox(const Stdio&)>& make);
  /// Opens the gate.
  void execute() { sandbox_->start(); }
  Sandbox& sandbox() { return *sandbox_; }
  /// Kills a process that was launched but could not be executed.
  void discard();

  /// Takes clients on shim.sock in that directory, and the starter if it wants to be attached.
  void open_socket(int directory);
  void attach_starter();
  /// Handles events until finish() was called and all that read got their last message.
  void run_loop();
  void finish() { is_finished_ = true; }

  /// The starter's answer to the size of its terminal, or a later client's.
  SizePayload size() const noexcept { return size_; }

  virtual void on_output(LogStream stream, std::string_view bytes) = 0;
  virtual void on_process_end(ExitStatus status) = 0;

  Starter& starter_;
  EventLoop loop_;
  AttachServer server_;

 private:
  void take_output(LogStream stream, std::string_view bytes);
  void process_ended();

  StdioRelay relay_;
  std::optional<Sandbox> sandbox_;
  Streams streams_;
  SizePayload size_ = {};
  bool is_finished_ = false;
};

/// Gives memory of finished work back to the system: a shim idles for months.
void release_heap();

/// Field 22 of /proc/<pid>/stat; 0 if the process is gone.
std::uint64_t start_ticks_of(pid_t pid);

}  // namespace ctr
