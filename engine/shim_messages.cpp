#include "engine/shim_messages.h"

#include <cerrno>
#include <sys/socket.h>

#include "base/error.h"
#include "base/unix_socket.h"

namespace ctr {

void send_shim_message(int socket, MessageType type, std::string_view payload, std::span<const int> fds) {
  const MessageHeader header = {type, {}};
  std::string packet(payload_bytes(header));
  packet.append(payload);
  send_message(socket, as_bytes(packet), fds);
}

bool receive_shim_message(int socket, ShimMessage& message) {
  message.payload.resize(kMaxPayload);
  MessageHeader header = {};
  iovec parts[2] = {{&header, sizeof header}, {message.payload.data(), message.payload.size()}};
  msghdr packet = {};
  packet.msg_iov = parts;
  packet.msg_iovlen = 2;
  ssize_t length = 0;
  bool was_reset = false;
  for (;;) {
    length = ::recvmsg(socket, &packet, MSG_CMSG_CLOEXEC);
    if (length >= 0) break;
    if (errno == EINTR) continue;
    // The shim closed with something of ours unread. What it sent before that is still there, behind this one error.
    if (errno == ECONNRESET && !was_reset) {
      was_reset = true;
      continue;
    }
    if (errno == ECONNRESET) return false;
    throw_errno(errno, "receive from", "the shim");
  }
  if (length < static_cast<ssize_t>(sizeof header)) return false;
  message.type = header.type;
  message.payload.resize(static_cast<std::size_t>(length) - sizeof header);
  return true;
}

}  // namespace ctr
