// The local end of an attached process: copies between our descriptors and the shim's connection, puts a terminal into
// raw mode and back, follows its size, sends signals on, watches for the detach keys. Knows nothing about containers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "engine/shim_client.h"

namespace ctr {

struct AttachOptions {
  int input = 0;   // -1: stdin is not attached
  int output = 1;  // -1: thrown away
  int error = 2;
  bool tty = false;       // the process has a terminal: raw mode if input is one, detach keys, size
  bool sig_proxy = true;  // without tty: our signals are sent to the process
  bool redraw = false;    // nudges the size so that a program that ran before draws its screen again
  std::string detach_keys = "ctrl-p,ctrl-q";  // "" for none
};

struct AttachEnd {
  enum class Kind {
    Exited,     // the process ended; status is its exit status
    Detached,   // by the detach keys
    Lost,       // the shim went away without a word
    Dropped,    // the shim closed the connection because we did not read
    Signalled,  // a signal that we don't send on, or three interrupts in a row
  };
  Kind kind = Kind::Lost;
  int status = 0;  // Exited: exit status; Signalled: the signal's number
  bool oom_killed = false;
  std::string message;  // one sentence, if there is something to say
};

/// Runs until the process ends or the user detaches. The terminal is as before when it returns or throws; should this
/// process be killed, the shim sets it back. REQUIRES: one thread, or all others block the signals.
AttachEnd attach(Fd connection, const AttachOptions& options);

/// "ctrl-p,ctrl-q" or "ctrl-@,a" to bytes. Throws Invalid naming what is wrong.
std::string parse_detach_keys(std::string_view text);

/// The size of the terminal behind `fd`; zeros if it is none.
TerminalSize terminal_size(int fd);

}  // namespace ctr
