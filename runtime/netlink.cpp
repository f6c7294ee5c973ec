#include "runtime/netlink.h"

#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "runtime/network_namespace.h"

namespace ctr {
namespace {

// A dump's messages come in pieces of at most 32 KiB.
constexpr std::size_t kReceiveSize = 32 * 1024;
using ReceiveBuffer = std::array<char, kReceiveSize>;
// What a socket takes in one packet unless it is told otherwise (net.core.wmem_default is 208 KiB).
constexpr std::size_t kUsualPacket = 64 * 1024;

int protocol_of(NetlinkBus bus) { return bus == NetlinkBus::Route ? NETLINK_ROUTE : NETLINK_NETFILTER; }

Fd open_socket(NetlinkBus bus) {
  Fd socket(check(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol_of(bus)), "open netlink socket"));
  const int on = 1;
  // Old kernels lack them: errors are then only less wordy.
  (void)::setsockopt(socket.get(), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
  (void)::setsockopt(socket.get(), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  check(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), "bind netlink socket");
  return socket;
}

/// The kernel's own words about an error, if it sent some.
std::string kernel_words(const nlmsghdr* message) {
  if ((message->nlmsg_flags & NLM_F_ACK_TLVS) == 0) return {};
  const auto* error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(message));
  std::size_t offset = sizeof *error;
  if ((message->nlmsg_flags & NLM_F_CAPPED) == 0) offset += error->msg.nlmsg_len - sizeof error->msg;
  for (const nlattr* attribute : attributes_of(message, offset)) {
    if (mnl_attr_get_type(attribute) == NLMSGERR_ATTR_MSG) return std::string(": ") + mnl_attr_get_str(attribute);
  }
  return {};
}

/// 0 for an acknowledgement, else the errno.
int error_of(const nlmsghdr* message) {
  if (mnl_nlmsg_get_payload_len(message) < sizeof(nlmsgerr)) return EBADMSG;
  return -static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(message))->error;
}

[[noreturn]] void throw_request_error(int error, const std::string& what, const nlmsghdr* message) {
  throw Error(kind_of_errno(error), what + " failed: " + std::strerror(error) + kernel_words(message), error);
}

ssize_t receive(int socket, ReceiveBuffer& buffer, int flags) {
  for (;;) {
    const ssize_t size = ::recv(socket, buffer.data(), buffer.size(), flags | MSG_TRUNC);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) return 0;
    check(size, "receive from netlink socket");
    if (static_cast<std::size_t>(size) > buffer.size()) {
      throw Error(ErrorKind::System, "netlink answer is larger than " + std::to_string(buffer.size()) + " bytes");
    }
    return size;
  }
}

}  // namespace

nlmsghdr* NetlinkBatch::start(std::uint16_t type, std::uint16_t flags, std::size_t limit) {
  if (bytes_.size() < used_ + limit) bytes_.resize(std::max(used_ + limit, bytes_.size() * 2));
  nlmsghdr* message = mnl_nlmsg_put_header(bytes_.data() + used_);
  message->nlmsg_type = type;
  message->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  message->nlmsg_seq = static_cast<std::uint32_t>(requests_.size() + 1);
  return message;
}

void NetlinkBatch::finish(std::string what, std::initializer_list<int> tolerated) {
  const auto* message = reinterpret_cast<const nlmsghdr*>(bytes_.data() + used_);
  used_ += MNL_ALIGN(message->nlmsg_len);
  requests_.push_back({message->nlmsg_seq, std::move(what), tolerated});
}

NetlinkSocket::NetlinkSocket(NetlinkBus bus) : socket_(open_socket(bus)) {}

NetlinkSocket::NetlinkSocket(NetlinkBus bus, int netns) {
  in_network_namespace(netns, [&] { socket_ = open_socket(bus); });
}

void NetlinkSocket::send(const NetlinkBatch& batch) const {
  if (batch.used_ > kUsualPacket) {  // a container with thousands of ports
    const int size = static_cast<int>(batch.used_ * 2);
    (void)::setsockopt(socket_.get(), SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
  }
  const ssize_t sent = ::send(socket_.get(), batch.bytes_.data(), batch.used_, 0);
  check(sent, batch.requests_.front().what + ": send to netlink socket");
}

void NetlinkSocket::run(const NetlinkBatch& batch) const {
  if (batch.empty()) return;
  send(batch);
  // The kernel has done all of it by now, and its answers are in the socket.
  ReceiveBuffer buffer;
  std::string first_error;
  int first_errno = 0;
  while (ssize_t size = receive(socket_.get(), buffer, MSG_DONTWAIT)) {
    int left = static_cast<int>(size);
    for (auto* message = reinterpret_cast<const nlmsghdr*>(buffer.data()); mnl_nlmsg_ok(message, left);
         message = mnl_nlmsg_next(message, &left)) {
      if (message->nlmsg_type != NLMSG_ERROR) continue;
      const int error = error_of(message);
      if (error == 0 || first_errno != 0) continue;
      const auto request = std::find_if(batch.requests_.begin(), batch.requests_.end(), [&](const auto& candidate) {
        return candidate.sequence == message->nlmsg_seq;
      });
      if (request == batch.requests_.end()) throw_request_error(error, "netlink request", message);
      if (std::find(request->tolerated.begin(), request->tolerated.end(), error) != request->tolerated.end()) continue;
      first_errno = error;
      first_error = request->what + " failed: " + std::strerror(error) + kernel_words(message);
    }
  }
  if (first_errno != 0) throw Error(kind_of_errno(first_errno), first_error, first_errno);
}

void NetlinkSocket::query(const NetlinkBatch& batch, const std::function<void(const nlmsghdr*)>& answer) const {
  send(batch);
  const std::string& what = batch.requests_.front().what;
  ReceiveBuffer buffer;
  for (;;) {
    int left = static_cast<int>(receive(socket_.get(), buffer, 0));
    for (auto* message = reinterpret_cast<const nlmsghdr*>(buffer.data()); mnl_nlmsg_ok(message, left);
         message = mnl_nlmsg_next(message, &left)) {
      if (message->nlmsg_type == NLMSG_DONE) return;
      if (message->nlmsg_type != NLMSG_ERROR) {
        answer(message);
        if ((message->nlmsg_flags & NLM_F_MULTI) == 0) return;
        continue;
      }
      const int error = error_of(message);
      if (error == 0) return;
      throw_request_error(error, what, message);
    }
  }
}

// libmnl's loops are macros that C++ does not compile.
std::vector<const nlattr*> attributes_of(const nlmsghdr* message, std::size_t header_size) {
  std::vector<const nlattr*> attributes;
  const auto* end = static_cast<const char*>(mnl_nlmsg_get_payload_tail(message));
  const auto* next = static_cast<const nlattr*>(mnl_nlmsg_get_payload_offset(message, header_size));
  while (mnl_attr_ok(next, static_cast<int>(end - reinterpret_cast<const char*>(next)))) {
    attributes.push_back(next);
    next = mnl_attr_next(next);
  }
  return attributes;
}

std::vector<const nlattr*> attributes_in(const nlattr* nest) {
  std::vector<const nlattr*> attributes;
  const auto* next = static_cast<const nlattr*>(mnl_attr_get_payload(nest));
  const char* end = reinterpret_cast<const char*>(next) + mnl_attr_get_payload_len(nest);
  while (mnl_attr_ok(next, static_cast<int>(end - reinterpret_cast<const char*>(next)))) {
    attributes.push_back(next);
    next = mnl_attr_next(next);
  }
  return attributes;
}

}  // namespace ctr
