// What the builder is handed of the world: registries, URLs, the network of RUN steps, a shell on failure.
#pragma once

#include <memory>

#include "builder/build.h"
#include "engine/context.h"

namespace ctr {

class RegistrySession;

/// Everything that a build may come to need; nothing is opened before it is needed. REQUIRES: context and session
/// outlive the services.
BuildServices build_services(Context& context, RegistrySession& session);

/// The network that RUN steps of one build share: the host's for "host", else one of its own, taken away at the end.
std::unique_ptr<BuildNetwork> open_build_network(Context& context, const std::string& mode);

/// Takes away the networks of builds that were killed.
void tidy_dead_build_networks(Context& context);

}  // namespace ctr
