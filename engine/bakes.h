// Bake: the builds of one plan (builder/bake.h), each as `build` does it. A target begins when those are done whose
// images its contexts name; the others are built at the same time. Their steps are shown with the target's name.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "builder/bake.h"
#include "builder/build.h"
#include "engine/context.h"

namespace ctr {

/// The bake files of these names ("-" is standard input), or the default ones that exist in the working directory.
/// Throws NotFound.
std::vector<BakeFile> read_bake_files(const std::vector<std::string>& names);

/// What `.env` of the working directory says.
std::function<std::optional<std::string>(std::string_view)> dot_env();

struct BakedTarget {
  std::string name;
  BuildResult result;
};

struct BakeSettings {
  std::vector<std::string> entitlements;  ///< --allow
  std::string builder;                    ///< --builder; empty: the chosen one
  /// Called with each target's request before it is built: what the command line says about all builds.
  std::function<void(BuildRequest&)> adjust;
};

/// In the order of the plan. Throws what the first build that failed threw; targets that need it are not built.
std::vector<BakedTarget> bake(Context& context, const BakePlan& plan, const BakeSettings& settings,
                              BuildProgress& progress);

}  // namespace ctr
