#include <netinet/in.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/time.h"
#include "runtime/port_relay.h"

namespace ctr {
namespace {

constexpr std::size_t kLongestDatagram = 65536;
constexpr std::size_t kMostSessions = 1024;
constexpr std::int64_t kSilenceMs = 90'000;
constexpr int kDatagramsPerTurn = 64;

/// One buffer for all: the relay has one thread and keeps no datagram.
std::array<char, kLongestDatagram>& buffer() {
  static std::array<char, kLongestDatagram> bytes;
  return bytes;
}

bool is_pktinfo(const cmsghdr& header) {
  return (header.cmsg_level == IPPROTO_IP && header.cmsg_type == IP_PKTINFO) ||
         (header.cmsg_level == IPPROTO_IPV6 && header.cmsg_type == IPV6_PKTINFO);
}

}  // namespace

struct DatagramRelay::Session {
  Key key;
  Fd socket;  // connected to the target
  NetworkPoller::Watch watch = 0;
  SocketAddress peer;
  std::string control;  // the address that the peer wrote to, as the control message that answers from it
  std::int64_t last_use = 0;
  std::list<Key>::iterator position;
};

DatagramRelay::DatagramRelay(NetworkPoller& poller, int socket, const SocketAddress& target)
    : poller_(poller), socket_(socket), target_(target) {
  // On a host with many addresses the answer must come from the one that was asked.
  const int on = 1;
  if (::setsockopt(socket_, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on) == 0) return;
  (void)::setsockopt(socket_, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
}

DatagramRelay::~DatagramRelay() {
  while (!sessions_.empty()) end(Key(sessions_.begin()->first));
}

void DatagramRelay::receive() {
  for (int i = 0; i < kDatagramsPerTurn; ++i) {
    SocketAddress peer;
    alignas(cmsghdr) std::array<char, 256> control;
    iovec part{buffer().data(), buffer().size()};
    msghdr message{};
    message.msg_name = &peer.storage;
    message.msg_namelen = sizeof peer.storage;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t size = ::recvmsg(socket_, &message, MSG_DONTWAIT);
    if (size < 0 && (errno == EINTR || errno == ECONNREFUSED)) continue;
    if (size < 0) return;
    Key key(reinterpret_cast<const char*>(&peer.storage), message.msg_namelen);
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
      if (is_pktinfo(*header)) key.append(reinterpret_cast<const char*>(header), header->cmsg_len);
    }
    Session& session = session_of(key, message);
    if (!session.socket) {
      end(key);
      continue;
    }
    session.last_use = monotonic_ms();
    by_use_.splice(by_use_.end(), by_use_, session.position);
    (void)::send(session.socket.get(), buffer().data(), static_cast<std::size_t>(size), MSG_DONTWAIT);
  }
}

DatagramRelay::Session& DatagramRelay::session_of(const Key& key, const msghdr& message) {
  const auto found = sessions_.find(key);
  if (found != sessions_.end()) return *found->second;
  if (sessions_.size() >= kMostSessions) end(Key(by_use_.front()));
  auto session = std::make_unique<Session>();
  Session& made = *session;
  made.key = key;
  std::memcpy(&made.peer.storage, message.msg_name, message.msg_namelen);
  made.peer.size = message.msg_namelen;
  made.control = key.substr(message.msg_namelen);
  made.position = by_use_.insert(by_use_.end(), key);
  sessions_.emplace(key, std::move(session));
  made.socket = Fd(::socket(target_.storage.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!made.socket) return made;
  if (::connect(made.socket.get(), target_.get(), target_.size) != 0) {
    made.socket.reset();
    return made;
  }
  made.watch = poller_.add(made.socket.get(), EPOLLIN, [this, key](std::uint32_t) {
    const auto self = sessions_.find(key);
    if (self != sessions_.end()) reply(*self->second);
  });
  return made;
}

void DatagramRelay::reply(Session& session) {
  for (int i = 0; i < kDatagramsPerTurn; ++i) {
    const ssize_t size = ::recv(session.socket.get(), buffer().data(), buffer().size(), MSG_DONTWAIT);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) return;
    if (size < 0) return end(Key(session.key));  // nobody listens there
    alignas(cmsghdr) std::array<char, 256> control{};
    session.control.copy(control.data(), control.size());
    iovec part{buffer().data(), static_cast<std::size_t>(size)};
    msghdr message{};
    message.msg_name = &session.peer.storage;
    message.msg_namelen = session.peer.size;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (!session.control.empty()) {
      message.msg_control = control.data();
      message.msg_controllen = CMSG_ALIGN(session.control.size());
      // The received form names the interface it came by; the answer may leave by another.
      auto* header = reinterpret_cast<cmsghdr*>(control.data());
      if (header->cmsg_level == IPPROTO_IP) {
        auto* info = reinterpret_cast<in_pktinfo*>(CMSG_DATA(header));
        info->ipi_ifindex = 0;
        info->ipi_spec_dst = info->ipi_addr;
      }
    }
    (void)::sendmsg(socket_, &message, MSG_DONTWAIT);
    session.last_use = monotonic_ms();
    by_use_.splice(by_use_.end(), by_use_, session.position);
  }
}

bool DatagramRelay::expire() {
  const std::int64_t limit = monotonic_ms() - kSilenceMs;
  while (!by_use_.empty() && sessions_.at(by_use_.front())->last_use < limit) end(Key(by_use_.front()));
  return !sessions_.empty();
}

void DatagramRelay::end(const Key& key) {
  const auto found = sessions_.find(key);
  if (found == sessions_.end()) return;
  if (found->second->watch != 0) poller_.remove(found->second->watch);
  by_use_.erase(found->second->position);
  sessions_.erase(found);
}

}  // namespace ctr
