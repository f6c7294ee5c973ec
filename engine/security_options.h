// --security-opt and --privileged as values, and the compiled seccomp filter that follows from them. Compiling Docker's
// profile takes as long as a whole start may, so filters are kept in $CTR_ROOT/seccomp/ under what they were made from.
#pragma once

#include <optional>
#include <string>

#include "base/file.h"
#include "base/paths.h"
#include "engine/container_config.h"

namespace ctr {

struct SecurityOptions {
  bool no_new_privileges = false;
  bool unconfined_system_paths = false;
  bool unconfined_seccomp = false;
  std::string seccomp_profile;  // the profile's JSON; empty: the default one
  std::string apparmor_profile;
  std::string selinux_label;
  std::string selinux_file_label;  // that of files which only this container may use
};

/// Throws Invalid in Docker's words for an option that is not known.
SecurityOptions parse_security_options(const HostConfig& host);

/// The capability bounding set of the container.
std::uint64_t container_capabilities(const HostConfig& host);

/// The file with the compiled filter, made if it is missing; empty: the container gets none.
fs::path seccomp_filter_file(const Paths& paths, const HostConfig& host);

}  // namespace ctr
