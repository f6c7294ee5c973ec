// The flags of build, and how they become a request.
#pragma once

#include "cli/flags.h"
#include "engine/builds.h"

namespace ctr {

void define_build_flags(FlagTable& flags);

/// Throws UsageError for a value that cannot be.
BuildRequest build_request(const ParsedFlags& flags);

/// --jobs, --memory, --cpus.
void define_limit_flags(FlagTable& flags);
BuildLimits build_limits(const ParsedFlags& flags);

/// What --attest, --provenance and --sbom ask for: empty for nothing. Throws UsageError for what is not supported.
std::string provenance_option(const ParsedFlags& flags);

/// --on-failure.
FailureAction failure_action(const ParsedFlags& flags);

inline constexpr const char* kLoadNotice = "--load does nothing here: the image is in the store anyway";

/// --progress, --quiet and BUILDKIT_PROGRESS.
std::string progress_mode(const ParsedFlags& flags);

/// Whether Dockerfile or context come from standard input.
bool reads_standard_input(const BuildRequest& request);

}  // namespace ctr
