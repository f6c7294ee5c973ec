// The host's side of `cp`: from a container's tar into local files with cp(1)'s rules for targets, and back.
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
