// The two halves of the port forwarder: streams moved by splice(), datagrams moved by a table of sessions. Both work on
// sockets that somebody else opened and on one poller.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "runtime/network_poller.h"
#include "runtime/port_forwarder.h"

namespace ctr {

/// A socket address of either family.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;

  static SocketAddress of(const IpAddress& address, std::uint16_t port);
  const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* get() noexcept { return reinterpret_cast<sockaddr*>(&storage); }
};

/// Running TCP connections.
class StreamRelay {
 public:
  explicit StreamRelay(NetworkPoller& poller);
  ~StreamRelay();

  /// Takes what waits at a listening socket and connects each to the target.
  void accept_from(int listener, const SocketAddress& target);
  std::size_t size() const noexcept { return connections_.size(); }

 private:
  struct Connection;
  struct Direction;
  void start(Fd client, const SocketAddress& target);
  void handle(Connection& connection, std::uint32_t events);
  bool move(Direction& direction, int from, int to);
  void watch(Connection& connection);
  void end(Connection& connection);
  Pipe take_pipe();
  void give_back(Pipe pipe);

  NetworkPoller& poller_;
  std::uint64_t last_id_ = 0;
  std::unordered_map<std::uint64_t, std::unique_ptr<Connection>> connections_;
  std::vector<Pipe> free_pipes_;
  Fd spare_;  // closed for a moment when descriptors run out, so that a waiting client is turned away, not left hanging
};

/// The UDP conversations of one published port.
class DatagramRelay {
 public:
  DatagramRelay(NetworkPoller& poller, int socket, const SocketAddress& target);
  ~DatagramRelay();

  /// Takes what waits at the published socket.
  void receive();
  /// Ends conversations that have been silent too long; false when none is left.
  bool expire();
  bool empty() const noexcept { return sessions_.empty(); }

 private:
  struct Session;
  using Key = std::string;  // the peer's address and the address it wrote to
  Session& session_of(const Key& key, const msghdr& message);
  void reply(Session& session);
  void end(const Key& key);

  NetworkPoller& poller_;
  int socket_;
  SocketAddress target_;
  std::list<Key> by_use_;  // the longest unused first
  std::map<Key, std::unique_ptr<Session>> sessions_;
};

}  // namespace ctr
