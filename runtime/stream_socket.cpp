#include "runtime/stream_socket.h"

#include <cstring>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/error.h"
#include "base/fd_path.h"

namespace ctr {

void send_descriptor_to(const fs::path& socket_path, std::string_view text, int fd) {
  // The address holds 108 bytes: reach the socket through a descriptor of itself.
  const Fd place = open_file(socket_path, O_PATH);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = fd_path(place.get());
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const Fd socket(check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "make a socket"));
  check(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), "connect to",
        socket_path);
  iovec vector{const_cast<char*>(text.data()), text.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* part = CMSG_FIRSTHDR(&message);
  part->cmsg_level = SOL_SOCKET;
  part->cmsg_type = SCM_RIGHTS;
  part->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(part), &fd, sizeof fd);
  const ssize_t sent = check(::sendmsg(socket.get(), &message, MSG_NOSIGNAL), "send a descriptor to", socket_path);
  const auto count = static_cast<std::size_t>(sent);
  if (count < text.size()) write_all(socket.get(), as_bytes(text.substr(count)), socket_path.native());
}

}  // namespace ctr
