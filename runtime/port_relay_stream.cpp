#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "runtime/port_relay.h"

namespace ctr {
namespace {

// What one splice moves at most, and what a pipe holds unless told otherwise.
constexpr std::size_t kPipeSize = 64 * 1024;
constexpr std::size_t kFreePipes = 32;
constexpr int kAcceptsPerTurn = 64;

void tune(int socket) {
  const int on = 1;
  // What comes in goes out as it came: waiting for more would add latency that the direct path does not have.
  (void)::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  (void)::setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

/// The client learns that nobody is there from a reset, not from an answer of nothing.
void reset(Fd& socket) {
  const linger abort{1, 0};
  (void)::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
  socket.reset();
}

}  // namespace

SocketAddress SocketAddress::of(const IpAddress& address, std::uint16_t port) {
  SocketAddress result;
  if (address.is_v4()) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(result.storage);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&v4.sin_addr, address.bytes().data(), 4);
    result.size = sizeof v4;
  } else {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(result.storage);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    std::memcpy(&v6.sin6_addr, address.bytes().data(), 16);
    result.size = sizeof v6;
  }
  return result;
}

struct StreamRelay::Direction {
  std::optional<Pipe> pipe;  // only while bytes are on their way
  std::size_t bytes = 0;     // in the pipe
  bool source_ended = false;
  bool ended = false;  // and the other side was told
};

struct StreamRelay::Connection {
  std::uint64_t id = 0;
  Fd client;
  Fd server;
  NetworkPoller::Watch client_watch = 0;
  NetworkPoller::Watch server_watch = 0;
  bool connecting = true;
  Direction up;    // client to server
  Direction down;  // server to client
};

StreamRelay::StreamRelay(NetworkPoller& poller)
    : poller_(poller), spare_(check(::open("/dev/null", O_RDONLY | O_CLOEXEC), "open /dev/null")) {}
StreamRelay::~StreamRelay() = default;

Pipe StreamRelay::take_pipe() {
  if (free_pipes_.empty()) return make_pipe(O_NONBLOCK);
  Pipe pipe = std::move(free_pipes_.back());
  free_pipes_.pop_back();
  return pipe;
}

void StreamRelay::give_back(Pipe pipe) {
  if (free_pipes_.size() < kFreePipes) free_pipes_.push_back(std::move(pipe));
}

void StreamRelay::accept_from(int listener, const SocketAddress& target) {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    Fd client(::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (client) {
      start(std::move(client), target);
      continue;
    }
    if (errno == EINTR || errno == ECONNABORTED) continue;
    if (errno != EMFILE && errno != ENFILE) return;
    spare_.reset();
    Fd turned_away(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    if (turned_away) reset(turned_away);
    spare_ = Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  }
}

void StreamRelay::start(Fd client, const SocketAddress& target) {
  Fd server(::socket(target.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!server) return reset(client);
  tune(client.get());
  tune(server.get());
  if (::connect(server.get(), target.get(), target.size) != 0 && errno != EINPROGRESS) return reset(client);
  auto connection = std::make_unique<Connection>();
  Connection& made = *connection;
  made.id = ++last_id_;
  made.client = std::move(client);
  made.server = std::move(server);
  const auto handler = [this, id = made.id](std::uint32_t events) {
    const auto found = connections_.find(id);
    if (found != connections_.end()) handle(*found->second, events);
  };
  // The server's writability says that the connection stands; until then the client waits in its socket.
  made.server_watch = poller_.add(made.server.get(), EPOLLOUT, handler);
  made.client_watch = poller_.add(made.client.get(), 0, handler);
  connections_.emplace(made.id, std::move(connection));
}

void StreamRelay::end(Connection& connection) {
  poller_.remove(connection.client_watch);
  poller_.remove(connection.server_watch);
  connections_.erase(connection.id);
}

/// Moves what can be moved now; false when the connection is broken.
bool StreamRelay::move(Direction& direction, int from, int to) {
  if (!direction.source_ended && direction.bytes < kPipeSize) {
    if (!direction.pipe) direction.pipe = take_pipe();
    const ssize_t in = ::splice(from, nullptr, direction.pipe->write.get(), nullptr, kPipeSize - direction.bytes,
                                SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    if (in < 0 && errno != EAGAIN && errno != EINTR) return false;
    if (in == 0) direction.source_ended = true;
    if (in > 0) direction.bytes += static_cast<std::size_t>(in);
  }
  if (direction.bytes > 0) {
    const ssize_t out = ::splice(direction.pipe->read.get(), nullptr, to, nullptr, direction.bytes,
                                 SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    if (out < 0 && errno != EAGAIN && errno != EINTR) return false;
    if (out > 0) direction.bytes -= static_cast<std::size_t>(out);
  }
  if (direction.bytes == 0 && direction.pipe) {
    give_back(std::move(*direction.pipe));
    direction.pipe.reset();
  }
  if (direction.bytes == 0 && direction.source_ended && !direction.ended) {
    (void)::shutdown(to, SHUT_WR);
    direction.ended = true;
  }
  return true;
}

void StreamRelay::handle(Connection& connection, std::uint32_t events) {
  if (connection.connecting) {
    int error = 0;
    socklen_t size = sizeof error;
    (void)::getsockopt(connection.server.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
      poller_.remove(connection.client_watch);
      reset(connection.client);
      return end(connection);
    }
    if ((events & EPOLLOUT) == 0) return;
    connection.connecting = false;
  }
  try {
    const bool whole = move(connection.up, connection.client.get(), connection.server.get()) &&
                       move(connection.down, connection.server.get(), connection.client.get());
    if (!whole) {
      poller_.remove(connection.client_watch);
      reset(connection.client);
      return end(connection);
    }
  } catch (const Error&) {  // no pipe: descriptors ran out
    return end(connection);
  }
  if (connection.up.ended && connection.down.ended) return end(connection);
  // Both ends are gone, yet bytes wait for one of them: nobody will take them.
  if ((events & (EPOLLERR | EPOLLHUP)) == (EPOLLERR | EPOLLHUP)) return end(connection);
  watch(connection);
}

void StreamRelay::watch(Connection& connection) {
  const auto interest = [](const Direction& from_here, const Direction& to_here) {
    std::uint32_t events = 0;
    if (!from_here.source_ended && from_here.bytes < kPipeSize) events |= EPOLLIN;
    if (to_here.bytes > 0) events |= EPOLLOUT;
    return events;
  };
  poller_.change(connection.client_watch, interest(connection.up, connection.down));
  poller_.change(connection.server_watch, interest(connection.down, connection.up));
}

}  // namespace ctr
