// The shim's end of its clients: accepts connections on shim.sock, speaks the protocol with them, and sends them the
// process's output. A client that reads too slowly collects a bounded backlog; one that stops reading is dropped with
// a message, so that it delays neither the process nor others. Knows nothing of processes: AttachHost does.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <termios.h>
#include <vector>

#include "base/fd.h"
#include "shim/event_loop.h"
#include "shim/protocol.h"

namespace ctr {

using ClientId = std::uint64_t;

/// What clients ask for. Answers go back through AttachServer::done, refuse and exited, now or later.
class AttachHost {
 public:
  virtual ~AttachHost() = default;
  virtual pid_t process_pid() const = 0;
  /// The client attached to a stream.
  virtual void on_attach(ClientId client) = 0;
  virtual void on_stdin(ClientId client, std::string_view bytes) = 0;
  /// The client has no more input, or went away.
  virtual void on_stdin_end(ClientId client) = 0;
  virtual void on_resize(SizePayload size) = 0;
  virtual void on_signal(ClientId client, int signal, bool is_raw) = 0;
  virtual void on_stop(ClientId client, const StopPayload& stop) = 0;
  virtual void on_pause(ClientId client, bool pause) = 0;
  virtual void on_wait(ClientId client, WaitFor condition) = 0;
  virtual void on_network(ClientId client, std::string_view json, std::vector<Fd> fds) = 0;
  virtual void on_close_ports(ClientId client, std::string_view json) = 0;
  /// Output may be taken from the process again (see AttachServer::has_room).
  virtual void on_room() = 0;
};

class AttachServer {
 public:
  static constexpr std::size_t kMaxBacklog = 1024 * 1024;
  /// How long a client with a full backlog may hold the process up without reading anything at all: one that was
  /// stopped; one that waits for its own reader; and one that would read if it got a processor, or is the terminal that
  /// is the process's only reader, because a slow line is not a reason to end a session.
  static constexpr std::int64_t kStoppedPatienceMs = 500;
  static constexpr std::int64_t kWaitingPatienceMs = 3'000;
  static constexpr std::int64_t kLongPatienceMs = 60'000;
  static constexpr std::size_t kMaxClients = 256;

  AttachServer(EventLoop& loop, AttachHost& host);
  ~AttachServer();
  AttachServer(const AttachServer&) = delete;
  AttachServer& operator=(const AttachServer&) = delete;

  /// Accepts clients on this listening socket from now on.
  void listen(Fd socket);
  void stop_listening();
  /// A connection that is past its greetings: the starter's.
  ClientId adopt(Fd connection, std::uint32_t streams);

  /// Sends output to all that attached that stream.
  void broadcast(LogStream stream, std::string_view bytes);
  /// Whether no client's backlog is full. REQUIRES of the host: no broadcast while there is no room.
  bool has_room() const noexcept { return full_clients_ == 0; }

  void stdin_taken(ClientId client, std::size_t bytes);
  void done(ClientId client);
  void refuse(ClientId client, const std::exception& error);
  /// The client's last message: what it waited for or was attached to has ended.
  void exited(ClientId client, const ExitedPayload& exit, std::string_view sentence);
  /// The last message of all that are attached.
  void all_attached_exited(const ExitedPayload& exit, std::string_view sentence);

  bool has_attached() const noexcept;
  /// Whether messages are still on their way to somebody who reads.
  bool has_unsent() const noexcept;

 private:
  struct Client;
  void accept_one();
  ClientId add_client(Fd socket, bool is_greeted, std::uint32_t streams);
  Client* find(ClientId id) noexcept;
  void on_ready(ClientId id, std::uint32_t events);
  bool receive_from(Client& client);
  bool handle(Client& client, MessageType type, std::string_view payload, std::vector<Fd> fds);
  bool handle_request(Client& client, MessageType type, std::string_view payload, std::vector<Fd>& fds);
  bool greet(Client& client, std::string_view payload);
  bool take_stdin(Client& client, std::string_view payload);
  void keep_terminal(Client& client, std::string_view payload, std::vector<Fd>& fds);
  void send(Client& client, MessageType type, std::string_view payload, std::string_view text = {});
  void send_later(Client& client, std::string packet);
  void send_backlog(Client& client);
  void update_interest(Client& client);
  void set_full(Client& client, bool is_full);
  void check_stall(ClientId id);
  std::int64_t patience_with(const Client& client) const;
  bool is_only_terminal(const Client& client) const noexcept;
  void drop_stalled(Client& client);
  void remove(ClientId id);

  EventLoop& loop_;
  AttachHost& host_;
  Fd listener_;
  std::vector<std::shared_ptr<Client>> clients_;
  ClientId next_id_ = 1;
  int full_clients_ = 0;
  EventLoop::TimerId room_timer_ = 0;
};

}  // namespace ctr
