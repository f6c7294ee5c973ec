#include "runtime/network_resolver.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <utility>

#include "base/error.h"
#include "base/time.h"
#include "runtime/network_names.h"
#include "runtime/network_upstream.h"

namespace ctr {
namespace {

constexpr std::size_t kMostQueries = 512;  // on their way to other resolvers
constexpr std::size_t kMostClients = 32;   // by TCP
constexpr std::int64_t kClientSilenceMs = 10'000;
constexpr std::int64_t kTickMs = 200;
constexpr int kDatagramsPerTurn = 64;
constexpr std::size_t kBiggestBacklog = 4 * kLongestDnsMessage;

/// Our own answer, if the name or address is a container's.
std::optional<std::string> own_answer(const fs::path& resolve, const DnsQuestion& question, std::size_t limit) {
  if (const std::optional<IpAddress> address = address_of_reverse_name(question.name)) {
    const std::string name = find_network_pointer(resolve, *address);
    if (name.empty() || question.type != kDnsPtr) return std::nullopt;
    return dns_name_answer(question, name);
  }
  std::vector<IpAddress> addresses = find_network_name(resolve, question.name);
  if (addresses.empty()) return std::nullopt;
  // Containers that share a name share the work.
  static std::size_t turn = 0;
  std::rotate(addresses.begin(), addresses.begin() + static_cast<std::ptrdiff_t>(turn++ % addresses.size()),
              addresses.end());
  // A known name without an address of the asked kind is an empty answer, not "no such name".
  return dns_address_answer(question, addresses, limit);
}

}  // namespace

struct NetworkResolver::State {
  /// A client that asks by TCP: one question after the other.
  struct Client {
    Fd socket;
    NetworkPoller::Watch watch = 0;
    std::string received;
    std::string to_send;
    std::uint64_t query = 0;  // the one on its way
    std::int64_t last_use = 0;
  };

  ResolverSockets sockets;
  NetworkPoller poller;
  std::uint64_t last_id = 0;
  std::map<std::uint64_t, std::unique_ptr<UpstreamQuery>> queries;
  std::map<std::uint64_t, std::unique_ptr<Client>> clients;
  std::vector<std::uint64_t> finished;   // queries
  std::vector<std::uint64_t> answered;   // clients whose next question may be looked at
  Fd timer;
  NetworkPoller::Watch timer_watch = 0;

  explicit State(ResolverSockets given) : sockets(std::move(given)) {
    poller.add(sockets.udp.get(), EPOLLIN, [this](std::uint32_t) { receive_datagrams(); });
    poller.add(sockets.tcp.get(), EPOLLIN, [this](std::uint32_t) { accept_clients(); });
  }

  void receive_datagrams();
  void accept_clients();
  void serve(std::uint64_t id);
  void take_questions(std::uint64_t id);
  void answer_client(std::uint64_t id, std::string message);
  bool send_to(Client& client);
  void end_client(std::uint64_t id);
  void forward(DnsTransport transport, std::string message, const DnsQuestion& question,
               std::function<void(std::string)> done);
  void start_timer();
  void tick();
  void forget_finished();
};

void NetworkResolver::State::start_timer() {
  if (timer) return;
  timer = Fd(check(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC), "timerfd_create"));
  const itimerspec interval{{0, kTickMs * 1'000'000}, {0, kTickMs * 1'000'000}};
  check(::timerfd_settime(timer.get(), 0, &interval, nullptr), "timerfd_settime");
  timer_watch = poller.add(timer.get(), EPOLLIN, [this](std::uint32_t) { tick(); });
}

void NetworkResolver::State::tick() {
  std::uint64_t ticks = 0;
  (void)!::read(timer.get(), &ticks, sizeof ticks);
  for (const auto& [id, query] : queries) query->check_time();
  forget_finished();
  const std::int64_t limit = monotonic_ms() - kClientSilenceMs;
  std::vector<std::uint64_t> silent;
  for (const auto& [id, client] : clients) {
    if (client->query == 0 && client->last_use < limit) silent.push_back(id);
  }
  for (std::uint64_t id : silent) end_client(id);
  if (!queries.empty() || !clients.empty()) return;
  poller.remove(timer_watch);
  timer.reset();
}

/// A query cannot be destroyed while it calls us, and a client's next question waits until the stack is unwound.
void NetworkResolver::State::forget_finished() {
  for (std::uint64_t id : std::exchange(finished, {})) queries.erase(id);
  for (std::uint64_t id : std::exchange(answered, {})) take_questions(id);
}

void NetworkResolver::State::forward(DnsTransport transport, std::string message, const DnsQuestion& question,
                                     std::function<void(std::string)> done) {
  std::vector<SocketAddress> servers = upstream_servers(sockets.directory);
  if (servers.empty() || queries.size() >= kMostQueries) {
    return done(dns_error_answer(question, servers.empty() ? DnsCode::NoSuchName : DnsCode::ServerFailure));
  }
  const std::uint64_t id = ++last_id;
  auto finish = [this, id, question, done = std::move(done)](std::string answer) {
    finished.push_back(id);
    done(answer.empty() ? dns_error_answer(question, DnsCode::ServerFailure) : std::move(answer));
  };
  queries.emplace(id, std::make_unique<UpstreamQuery>(poller, transport, std::move(message), question,
                                                      std::move(servers), std::move(finish)));
  start_timer();
}

void NetworkResolver::State::receive_datagrams() {
  std::array<char, kLongestDnsMessage> buffer;
  for (int i = 0; i < kDatagramsPerTurn; ++i) {
    SocketAddress peer;
    peer.size = sizeof peer.storage;
    const ssize_t size =
        ::recvfrom(sockets.udp.get(), buffer.data(), buffer.size(), MSG_DONTWAIT, peer.get(), &peer.size);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return;
    std::string message(buffer.data(), static_cast<std::size_t>(size));
    const std::optional<DnsQuestion> question = parse_dns_query(message);
    if (!question) continue;
    const auto reply = [this, peer](const std::string& answer) {
      (void)::sendto(sockets.udp.get(), answer.data(), answer.size(), MSG_DONTWAIT | MSG_NOSIGNAL, peer.get(),
                     peer.size);
    };
    if (const auto answer = own_answer(sockets.directory, *question, kDnsDatagram)) {
      reply(*answer);
    } else {
      forward(DnsTransport::Datagram, std::move(message), *question, reply);
    }
  }
}

void NetworkResolver::State::accept_clients() {
  Fd socket(::accept4(sockets.tcp.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!socket || clients.size() >= kMostClients) return;
  const std::uint64_t id = ++last_id;
  auto client = std::make_unique<Client>();
  client->socket = std::move(socket);
  client->last_use = monotonic_ms();
  client->watch = poller.add(client->socket.get(), EPOLLIN, [this, id](std::uint32_t) { serve(id); });
  clients.emplace(id, std::move(client));
  start_timer();
}

void NetworkResolver::State::end_client(std::uint64_t id) {
  const auto found = clients.find(id);
  if (found == clients.end()) return;
  poller.remove(found->second->watch);
  clients.erase(found);
}

/// False when the client is gone.
bool NetworkResolver::State::send_to(Client& client) {
  while (!client.to_send.empty()) {
    const ssize_t sent = ::send(client.socket.get(), client.to_send.data(), client.to_send.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno != EAGAIN) return false;
    if (sent < 0) break;
    client.to_send.erase(0, static_cast<std::size_t>(sent));
  }
  poller.change(client.watch, client.to_send.empty() ? EPOLLIN : EPOLLIN | EPOLLOUT);
  return true;
}

void NetworkResolver::State::answer_client(std::uint64_t id, std::string message) {
  const auto found = clients.find(id);
  if (found == clients.end()) return;
  Client& client = *found->second;
  client.query = 0;
  client.to_send += static_cast<char>(message.size() >> 8);
  client.to_send += static_cast<char>(message.size() & 0xff);
  client.to_send += message;
  if (!send_to(client)) end_client(id);
}

void NetworkResolver::State::serve(std::uint64_t id) {
  const auto found = clients.find(id);
  if (found == clients.end()) return;
  Client& client = *found->second;
  client.last_use = monotonic_ms();
  std::array<char, 4096> buffer;
  const ssize_t size = ::recv(client.socket.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  const bool again = size < 0 && (errno == EAGAIN || errno == EINTR);
  if (size == 0 || (size < 0 && !again)) return end_client(id);
  if (size > 0) client.received.append(buffer.data(), static_cast<std::size_t>(size));
  if (client.received.size() + client.to_send.size() > kBiggestBacklog || !send_to(client)) return end_client(id);
  take_questions(id);
}

void NetworkResolver::State::take_questions(std::uint64_t id) {
  const auto found = clients.find(id);
  if (found == clients.end()) return;
  Client& client = *found->second;
  while (client.query == 0 && client.received.size() >= 2) {
    const std::size_t wanted = dns_id(client.received) + 2u;  // the length is written like an id
    if (client.received.size() < wanted) return;
    std::string message = client.received.substr(2, wanted - 2);
    client.received.erase(0, wanted);
    const std::optional<DnsQuestion> question = parse_dns_query(message);
    if (!question) return end_client(id);
    if (auto answer = own_answer(sockets.directory, *question, kLongestDnsMessage)) {
      answer_client(id, std::move(*answer));
    } else {
      client.query = last_id + 1;
      forward(DnsTransport::Stream, std::move(message), *question,
              [this, id](std::string forwarded) {
                answer_client(id, std::move(forwarded));
                answered.push_back(id);
              });
    }
    if (!clients.contains(id)) return;
  }
}

NetworkResolver::NetworkResolver(ResolverSockets sockets) : state_(std::make_unique<State>(std::move(sockets))) {}
NetworkResolver::~NetworkResolver() = default;

int NetworkResolver::poll_fd() const noexcept { return state_->poller.fd(); }

void NetworkResolver::dispatch() {
  state_->poller.dispatch();
  state_->forget_finished();
}

}  // namespace ctr
