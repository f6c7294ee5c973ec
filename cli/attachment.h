// From a connection to a process's streams to the exit status of a command: what run, start -a, exec and attach share.
#pragma once

#include <string>

#include "cli/flags.h"
#include "engine/attach_client.h"
#include "engine/context.h"

namespace ctr {

struct AttachWish {
  bool standard_in = false;
  bool standard_out = true;
  bool standard_error = true;
  bool tty = false;
  bool sig_proxy = true;
  bool redraw = false;
  std::string detach_keys;  // as typed; empty: config.json's, else ctrl-p,ctrl-q
};

/// What to ask of the shim for that wish.
std::uint32_t attach_streams(const AttachWish& wish);

/// Copies until the process ends or the user detaches; returns what `ctr` exits with.
int follow_process(Fd connection, const AttachWish& wish);

/// Throws (status 1) when a terminal is wanted for standard input and that is none, in Docker's words.
void require_terminal(bool is_interactive, bool wants_terminal);

/// The size of our terminal, zeros if there is none: for the process's first instruction.
TerminalSize own_terminal_size();

}  // namespace ctr
