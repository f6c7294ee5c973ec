// System-call filters: from an OCI seccomp object to the bytes that the kernel loads (an array of struct sock_filter).
// Compiling is pure: the same spec gives the same bytes. Only names of system calls come from libseccomp, so whoever
// must stay free of it (the shim) is handed bytes and uses none of this file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/json.h"
#include "runtime/spec.h"

namespace ctr {

/// The name of the file in a bundle that holds the compiled filter, written by whoever writes config.json.
inline constexpr std::string_view kSeccompFileName = "seccomp.bpf";

/// The filter's bytes. Throws Invalid for an unknown architecture or impossible argument; unknown names of system calls
/// are skipped, as other runtimes do.
std::string compile_seccomp(const SeccompSpec& seccomp);

/// Docker's default profile for a container with this bounding set, on this machine's kernel and architecture.
SeccompSpec default_seccomp(std::uint64_t bounding_capabilities);

/// A profile file of `--security-opt seccomp=FILE`: Docker's form with includes, excludes and archMap, or plain OCI.
SeccompSpec parse_seccomp_profile(const Json& profile, std::uint64_t bounding_capabilities);

}  // namespace ctr
