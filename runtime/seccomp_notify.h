// Hands the notify descriptor of a filter to the agent that answers it (linux.seccomp.listenerPath).
#pragma once

#include <sys/types.h>

#include "base/file.h"
#include "runtime/spec.h"

namespace ctr {

/// Connects to the agent's stream socket and sends the container's process state with the descriptor.
void send_seccomp_listener(const Spec& spec, const std::string& id, const fs::path& bundle, pid_t pid, int listener);

}  // namespace ctr
