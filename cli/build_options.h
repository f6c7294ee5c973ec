// The flags of build, and how they become a request.
#pragma once

#include "cli/flags.h"
#include "engine/builds.h"

namespace ctr {

void define_build_flags(FlagTable& flags);

/// Throws UsageError for a value that cannot be.
BuildRequest build_request(const ParsedFlags& flags);

/// Whether Dockerfile or context come from standard input.
bool reads_standard_input(const BuildRequest& request);

}  // namespace ctr
