// The builds of a Compose file as bake targets: `services.*.build`, `image`, top-level `secrets`, `x-bake`. Nothing
// else of Compose is looked at. `${VAR}` takes the environment.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "builder/bake.h"

namespace ctr {

/// One target a service with a build, in the order of the files; later files go over earlier ones.
std::vector<BakeTarget> compose_bake_targets(const std::vector<BakeFile>& files, const BakeOptions& options);

/// True if the text is YAML with `services`.
bool looks_like_compose(const std::string& text);

}  // namespace ctr
