// Conversations by UDP that the kernel's connection tracking remembers. One that began before a port was published, or
// led to the port's former container, would go on as it began for minutes, whatever the rules say now.
#pragma once

#include <vector>

#include "runtime/port_binding.h"

namespace ctr {

/// Forgets those that came to these ports (of UDP; others are passed over), in the calling thread's network namespace.
/// Does nothing where connection tracking cannot be looked at: then they end by themselves.
void forget_flows(const std::vector<PublishedPort>& ports);

}  // namespace ctr
