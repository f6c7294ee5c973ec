// What the image says, put under what the user says, as Docker does it at create: the user's words win, lists of
// variables, labels, ports and volumes are united, and the image's command is only used with the image's entrypoint.
#pragma once

#include <string>
#include <vector>

#include "engine/container_config.h"
#include "image/config.h"

namespace ctr {

ContainerConfig merge_config(ContainerConfig user, const ContainerDefaults& image);

/// The whole command line of a merged configuration; throws Invalid "no command specified" if there is none.
std::vector<std::string> command_line(const ContainerConfig& config);

/// The environment of the first process: PATH, HOSTNAME, TERM with a terminal, then the configuration's, which replace
/// these. HOME is the runtime's to add, for it knows the user. "NAME" without "=" removes a variable.
std::vector<std::string> process_environment(const ContainerConfig& config);

/// `base` with each variable of `changes` replaced or added.
std::vector<std::string> with_environment(std::vector<std::string> base, const std::vector<std::string>& changes);

HealthConfig health_config_of(const Healthcheck& healthcheck);

}  // namespace ctr
