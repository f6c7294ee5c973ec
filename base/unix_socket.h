// Local sockets that keep message borders (SOCK_SEQPACKET) and carry descriptors. Bound and reached through
// /proc/self/fd, because a socket's address holds only 108 bytes.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/file.h"

namespace ctr {

/// A listening socket named `name` in the directory `dir`; an old one of that name is replaced.
Fd listen_seqpacket(int dir, const std::string& name, int backlog = 64);
/// Nothing when there is no socket or nobody listens.
std::optional<Fd> connect_seqpacket(int dir, const std::string& name);

struct Message {
  std::string bytes;
  std::vector<Fd> fds;
  /// The other side has closed.
  bool is_end = false;
};

/// Sends one message; throws Unavailable when the other side is gone. Never raises SIGPIPE.
void send_message(int socket, Bytes bytes, std::span<const int> fds = {});
/// Receives one message of at most `limit` bytes; longer ones throw Invalid.
Message receive_message(int socket, std::size_t limit = 65536);

}  // namespace ctr
