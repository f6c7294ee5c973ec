#include "cli/attachment.h"

#include <signal.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/client_config.h"
#include "cli/output.h"

namespace ctr {

namespace {

/// The keys of --detach-keys, else of config.json, else Docker's.
std::string detach_keys_of(const AttachWish& wish) {
  if (!wish.detach_keys.empty()) return wish.detach_keys;
  return client_config_text("detachKeys").value_or("ctrl-p,ctrl-q");
}

}  // namespace

void require_terminal(bool is_interactive, bool wants_terminal) {
  if (is_interactive && wants_terminal && !is_terminal(STDIN_FILENO)) {
    throw Error(ErrorKind::Invalid, "the input device is not a TTY: leave out -t, or give it a terminal");
  }
}

std::uint32_t attach_streams(const AttachWish& wish) {
  return (wish.standard_in ? kAttachStdin : 0) | (wish.standard_out ? kAttachStdout : 0) |
         (wish.standard_error ? kAttachStderr : 0);
}

TerminalSize own_terminal_size() {
  const TerminalSize size = terminal_size(STDOUT_FILENO);
  return size.rows != 0 ? size : terminal_size(STDIN_FILENO);
}

int follow_process(Fd connection, const AttachWish& wish) {
  AttachOptions options;
  options.input = wish.standard_in ? STDIN_FILENO : -1;
  options.output = wish.standard_out ? STDOUT_FILENO : -1;
  options.error = wish.standard_error ? STDERR_FILENO : -1;
  options.tty = wish.tty;
  options.sig_proxy = wish.sig_proxy;
  options.redraw = wish.redraw;
  options.detach_keys = detach_keys_of(wish);
  parse_detach_keys(options.detach_keys);
  flush_standard_out();
  const AttachEnd end = attach(std::move(connection), options);
  switch (end.kind) {
    case AttachEnd::Kind::Exited:
      return end.status;
    case AttachEnd::Kind::Detached:
      write_standard_error("read escape sequence\n");
      return 0;
    case AttachEnd::Kind::Signalled:
      return 128 + end.status;
    case AttachEnd::Kind::Dropped:
    case AttachEnd::Kind::Lost:
      break;
  }
  throw Error(ErrorKind::Unavailable, end.message.empty() ? "the container's shim went away without a word" : end.message);
}

}  // namespace ctr
