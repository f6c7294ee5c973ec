// Programs of another architecture run through qemu-user, registered with the kernel's binfmt_misc. This file finds
// out whether that is so here, and says what is missing; it registers nothing.
#pragma once

#include <optional>
#include <string>

#include "image/platform.h"

namespace ctr {

/// Whether this machine executes programs of that platform, by itself or through a registered emulator.
bool can_execute(const Platform& platform);

/// One sentence on what is missing; for a platform that can't be executed.
std::string why_not_executable(const Platform& platform);

/// Docker's warning when an image is for another platform than the one that was asked for or that this machine has; empty
/// if it is not. Throws Unavailable, naming the package to install, if nothing here runs it.
std::string check_platform(const Platform& image, const std::optional<Platform>& requested);

}  // namespace ctr
