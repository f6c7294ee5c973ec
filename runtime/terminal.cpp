#include "runtime/terminal.h"

#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/error.h"
#include "runtime/stream_socket.h"

namespace ctr {

void set_console_size(int terminal, const ConsoleSize& size) {
  const winsize window{size.height, size.width, 0, 0};
  check(::ioctl(terminal, TIOCSWINSZ, &window), "set the size of the terminal");
}

void send_pidfd(const fs::path& socket_path, int pidfd) {
  send_descriptor_to(socket_path, "pidfd", pidfd);
}

void send_console(const fs::path& socket_path, int master) {
  // The name is what runc sends; receivers show it or ignore it.
  send_descriptor_to(socket_path, "/dev/ptmx", master);
}

}  // namespace ctr
