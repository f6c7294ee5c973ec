// One message with a descriptor to a listening AF_UNIX stream socket: how console and seccomp sockets are fed.
#pragma once

#include <string_view>

#include "base/file.h"

namespace ctr {

/// Connects, sends `text` with `fd` beside its first byte, and closes. Long paths are fine.
void send_descriptor_to(const fs::path& socket_path, std::string_view text, int fd);

}  // namespace ctr
