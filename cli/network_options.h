// --network and everything around it: ports, names, resolvers.
#pragma once

#include "cli/flags.h"
#include "engine/containers.h"

namespace ctr {

/// Fills networks, ports and resolvers of the request. Throws UsageError.
void fill_network_options(const ParsedFlags& flags, CreateRequest& request);

}  // namespace ctr
