// "builder": {"gc": {…}} of the configuration files, as in daemon.json: how much of the disk the build cache may take.
// Sizes are "20GB" or "10%".
#pragma once

#include <string>

#include "base/json.h"
#include "engine/configuration.h"

namespace ctr {

struct BuildCacheLimits {
  bool is_collected = true;    // "enabled"
  std::string reserved_space;  // "defaultReservedSpace", "defaultKeepStorage": never collected below
  std::string max_used_space;  // "defaultMaxUsedSpace"; with none of the three: a tenth of the disk
  std::string min_free_space;  // "defaultMinFreeSpace"
};

/// The value of "builder". Throws Invalid, naming the key.
BuildCacheLimits parse_build_cache_limits(const Json& builder);

/// What the files of this configuration say, the later one over the earlier; only builds ask.
BuildCacheLimits build_cache_limits(const Configuration& configuration);

}  // namespace ctr
