#include "base/unix_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/fd_path.h"

namespace ctr {

namespace {

constexpr std::size_t kMaxFds = 16;

sockaddr_un address_in(int dir, const std::string& name) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const std::string path = fd_path(dir) + "/" + name;
  if (path.size() >= sizeof address.sun_path) throw Error(ErrorKind::Invalid, "the socket name " + name + " is too long");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

Fd make_socket() { return Fd(check(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), "make a socket")); }

}  // namespace

Fd listen_seqpacket(int dir, const std::string& name, int backlog) {
  const sockaddr_un address = address_in(dir, name);
  Fd socket = make_socket();
  if (::unlinkat(dir, name.c_str(), 0) != 0 && errno != ENOENT) throw_errno(errno, "remove the old socket", name);
  check(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), "bind", name);
  check(::listen(socket.get(), backlog), "listen on", name);
  return socket;
}

std::optional<Fd> connect_seqpacket(int dir, const std::string& name) {
  const sockaddr_un address = address_in(dir, name);
  Fd socket = make_socket();
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno == ENOENT || errno == ECONNREFUSED) return std::nullopt;
    throw_errno(errno, "connect to", name);
  }
  return socket;
}

void send_message(int socket, Bytes bytes, std::span<const int> fds) {
  iovec part = {const_cast<std::byte*>(bytes.data()), bytes.size()};
  msghdr header = {};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFds)] = {};
  if (!fds.empty()) {
    if (fds.size() > kMaxFds) throw Error(ErrorKind::Invalid, "too many descriptors in one message");
    header.msg_control = control;
    header.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* message = CMSG_FIRSTHDR(&header);
    message->cmsg_level = SOL_SOCKET;
    message->cmsg_type = SCM_RIGHTS;
    message->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(message), fds.data(), fds.size_bytes());
  }
  while (::sendmsg(socket, &header, MSG_NOSIGNAL) < 0) {
    if (errno == EINTR) continue;
    if (errno == EPIPE || errno == ECONNRESET) throw Error(ErrorKind::Unavailable, "the other side has gone", errno);
    throw_errno(errno, "send a message");
  }
}

Message receive_message(int socket, std::size_t limit) {
  Message message;
  message.bytes.resize(limit);
  iovec part = {message.bytes.data(), limit};
  msghdr header = {};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFds)] = {};
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  ssize_t length = 0;
  do {
    length = ::recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
  } while (length < 0 && errno == EINTR);
  if (length < 0 && errno == ECONNRESET) length = 0;
  check(length, "receive a message");
  for (cmsghdr* part_header = CMSG_FIRSTHDR(&header); part_header != nullptr;
       part_header = CMSG_NXTHDR(&header, part_header)) {
    if (part_header->cmsg_level != SOL_SOCKET || part_header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part_header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part_header) + i * sizeof(int), sizeof fd);
      message.fds.emplace_back(fd);
    }
  }
  if ((header.msg_flags & MSG_TRUNC) != 0) throw Error(ErrorKind::Invalid, "a message is longer than its limit");
  message.bytes.resize(static_cast<std::size_t>(length));
  message.is_end = length == 0;
  return message;
}

}  // namespace ctr
