// cp between a container and this machine's files, with cp(1)'s rules for what the target names. The container's side is
// container_files.h's.
#pragma once

#include <string>

#include "engine/container_files.h"

namespace ctr {

enum class KeepOwner { No, Yes };

/// Container to host; the target "-" is a tar on standard output.
void copy_out(Context& context, const std::string& container, const std::string& path, const std::string& target,
              FollowLink follow, KeepOwner keep);

/// Host to container; the source "-" is a tar on standard input.
void copy_in(Context& context, const std::string& source, const std::string& container, const std::string& path,
             FollowLink follow, KeepOwner keep);

}  // namespace ctr
