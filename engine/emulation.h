// Images of another architecture: what `run` says about them, and whether their programs run here. How they run is the
// builder's knowledge (builder/emulators.h), which RUN steps need as well.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "builder/emulators.h"
#include "engine/configuration.h"
#include "image/platform.h"

namespace ctr {

/// In a container's run directory: the mounts of builder/emulators.h, as long as it runs.
inline constexpr std::string_view kEmulationDirectory = "emulation";

HostRegistration host_registration(const Configuration& configuration);

/// Docker's warning when an image is for another platform than the one that was asked for or that this machine has; empty
/// if it is not. Throws Unavailable, naming the package to install, if nothing here runs it.
std::string check_platform(const Platform& image, const std::optional<Platform>& requested);

}  // namespace ctr
