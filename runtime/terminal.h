// Pseudo-terminals of containers. The pair is made inside the container's own devpts by the init child, whose master
// end comes back over the sync socket; nothing here opens a path that a container controls.
#pragma once

#include "base/fd.h"
#include "base/file.h"
#include "runtime/spec.h"

namespace ctr {

void set_console_size(int terminal, const ConsoleSize& size);

/// Hands a descriptor of the process to whoever listens on the socket of --pidfd-socket.
void send_pidfd(const fs::path& socket_path, int pidfd);

/// Hands the master to whoever listens on the socket of --console-socket, in runc's protocol (one SCM_RIGHTS message).
void send_console(const fs::path& socket_path, int master);

}  // namespace ctr
