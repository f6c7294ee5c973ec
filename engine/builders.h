// Builders as buildx knows them: here a builder is a named configuration ($CTR_ROOT/builders/<name>.json), not a
// process. The name "default" always exists; one builder is the chosen one.
#pragma once

#include <string>
#include <vector>

#include "builder/build.h"
#include "engine/context.h"

namespace ctr {

struct BuilderRecord {
  std::string name;
  std::string driver = "ctr";
  std::vector<std::string> platforms;  // that may be built besides this machine's; empty: all. Never a build's default
  BuildLimits limits = {};             // of builds that ask for none
  std::string cache_size;              // the bound of the build cache, "20GB" or "10%"; empty: the configuration's
  std::string created;                 // RFC 3339; empty for "default"
};

enum class BuilderAppend { No, Yes };

/// Throws Exists in Docker's words if the builder exists and `append` is No; with Yes adds the platforms. An empty name
/// is generated.
BuilderRecord create_builder(Context& context, BuilderRecord builder, BuilderAppend append);

/// By name, "default" first.
std::vector<BuilderRecord> list_builders(Context& context);
/// Throws NotFound in Docker's words.
BuilderRecord get_builder(Context& context, const std::string& name);
void use_builder(Context& context, const std::string& name);
/// The name that `use_builder` chose, BUILDX_BUILDER, or "default".
std::string chosen_builder(Context& context);
void remove_builder(Context& context, const std::string& name);

/// Throws Invalid for a platform that the builder may not build, by name.
void check_platforms(const BuilderRecord& builder, const std::vector<std::string>& platforms);

}  // namespace ctr
