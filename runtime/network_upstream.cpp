#include "runtime/network_upstream.h"

#include <net/if.h>
#include <sys/epoll.h>
#include <sys/random.h>

#include <array>
#include <cerrno>

#include "base/time.h"
#include "runtime/resolver_files.h"

namespace ctr {
namespace {

constexpr std::uint16_t kDnsPort = 53;
constexpr std::int64_t kPatienceMs = 2000;  // with one server; resolvers ask again after 5 s by themselves
constexpr std::size_t kMostServers = 3;     // as many as resolv.conf may have
constexpr std::uint64_t kLongestFile = 256 * 1024;

std::optional<SocketAddress> server_address(const std::string& text) {
  const std::size_t percent = text.find('%');
  const std::optional<IpAddress> address = IpAddress::find(text.substr(0, percent));
  if (!address) return std::nullopt;
  SocketAddress server = SocketAddress::of(*address, kDnsPort);
  if (percent != text.npos && address->is_v6()) {
    reinterpret_cast<sockaddr_in6&>(server.storage).sin6_scope_id = ::if_nametoindex(text.c_str() + percent + 1);
  }
  return server;
}

std::uint16_t random_id() {
  std::uint16_t id = 0;
  (void)!::getrandom(&id, sizeof id, 0);
  return id;
}

}  // namespace

std::vector<SocketAddress> upstream_servers(const fs::path& resolve) {
  const std::optional<std::string> own = find_file(resolve / ".upstream", kLongestFile);
  std::vector<std::string> names;
  if (own) {
    names = parse_resolver_config(*own).nameservers;
  } else {
    // Asked from the host's namespace: a stub on the host's loopback is as good as any.
    names = parse_resolver_config(find_file("/etc/resolv.conf", kLongestFile).value_or("")).nameservers;
    if (names.empty()) names = without_loopback_servers({}).nameservers;
  }
  std::vector<SocketAddress> servers;
  for (const std::string& name : names) {
    if (servers.size() == kMostServers) break;
    if (const auto server = server_address(name)) servers.push_back(*server);
  }
  return servers;
}

UpstreamQuery::UpstreamQuery(NetworkPoller& poller, DnsTransport transport, std::string query, DnsQuestion question,
                             std::vector<SocketAddress> servers, std::function<void(std::string)> done)
    : poller_(poller),
      transport_(transport),
      query_(std::move(query)),
      question_(std::move(question)),
      servers_(std::move(servers)),
      done_(std::move(done)) {
  ask_next();
}

UpstreamQuery::~UpstreamQuery() {
  if (watch_ != 0) poller_.remove(watch_);
}

void UpstreamQuery::finish(std::string answer) {
  if (watch_ != 0) poller_.remove(watch_);
  watch_ = 0;
  socket_.reset();
  deadline_ = 0;
  const std::function<void(std::string)> done = std::move(done_);
  done_ = nullptr;
  if (done) done(std::move(answer));  // may destroy this
}

/// A new socket has a port, and the question an id, that nobody outside can guess.
void UpstreamQuery::ask_next() {
  if (watch_ != 0) poller_.remove(watch_);
  watch_ = 0;
  const bool stream = transport_ == DnsTransport::Stream;
  while (next_ < servers_.size()) {
    const SocketAddress& server = servers_[next_++];
    const int type = stream ? SOCK_STREAM : SOCK_DGRAM;
    socket_ = Fd(::socket(server.storage.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket_) continue;
    if (::connect(socket_.get(), server.get(), server.size) != 0 && errno != EINPROGRESS) continue;
    id_ = random_id();
    set_dns_id(query_, id_);
    received_.clear();
    sent_ = 0;
    if (!stream && ::send(socket_.get(), query_.data(), query_.size(), MSG_NOSIGNAL) < 0) continue;
    deadline_ = monotonic_ms() + kPatienceMs;
    watch_ = poller_.add(socket_.get(), stream ? EPOLLIN | EPOLLOUT : EPOLLIN, [this](std::uint32_t) { receive(); });
    return;
  }
  // Not from within the constructor: who made us does not hold us yet. check_time() tells it.
  deadline_ = 1;
}

void UpstreamQuery::check_time() {
  if (deadline_ == 0 || monotonic_ms() < deadline_) return;
  if (next_ < servers_.size()) return ask_next();
  finish({});
}

void UpstreamQuery::receive() {
  if (transport_ == DnsTransport::Datagram) return receive_datagram();
  receive_stream();
}

void UpstreamQuery::receive_datagram() {
  std::array<char, kLongestDnsMessage> buffer;
  const ssize_t size = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size < 0) {  // refused: nobody serves there
    if (next_ < servers_.size()) return ask_next();
    return finish({});
  }
  std::string answer(buffer.data(), static_cast<std::size_t>(size));
  if (!is_dns_answer_to(answer, id_, question_)) return;  // forged, or late: the right one may still come
  set_dns_id(answer, question_.id);
  finish(std::move(answer));
}

void UpstreamQuery::receive_stream() {
  const std::string length{static_cast<char>(query_.size() >> 8), static_cast<char>(query_.size() & 0xff)};
  const std::string framed = length + query_;
  while (sent_ < framed.size()) {
    const ssize_t sent = ::send(socket_.get(), framed.data() + sent_, framed.size() - sent_, MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOTCONN)) return;
    if (sent < 0) return next_ < servers_.size() ? ask_next() : finish({});
    sent_ += static_cast<std::size_t>(sent);
  }
  poller_.change(watch_, EPOLLIN);
  std::array<char, 4096> buffer;
  for (;;) {
    const ssize_t size = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (size <= 0) return next_ < servers_.size() ? ask_next() : finish({});
    received_.append(buffer.data(), static_cast<std::size_t>(size));
    if (received_.size() < 2) continue;
    const std::size_t wanted = dns_id(received_) + 2u;  // the length is written like an id
    if (received_.size() < wanted) continue;
    std::string answer = received_.substr(2, wanted - 2);
    if (!is_dns_answer_to(answer, id_, question_)) return finish({});
    set_dns_id(answer, question_.id);
    return finish(std::move(answer));
  }
}

}  // namespace ctr
