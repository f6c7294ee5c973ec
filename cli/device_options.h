// --device and the limits of block devices.
#pragma once

#include "cli/flags.h"
#include "engine/container_config.h"

namespace ctr {

/// Fills devices, device rules and block I/O limits. Throws UsageError.
void fill_device_options(const ParsedFlags& flags, HostConfig& host);

}  // namespace ctr
