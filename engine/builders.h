// Builders as buildx knows them: here a builder is a named configuration ($CTR_ROOT/builders/<name>.json), not a
// process. The name "default" always exists; one builder is the chosen one.
#pragma once

#include <string>
#include <vector>

#include "engine/context.h"

namespace ctr {

struct BuilderRecord {
  std::string name;
  std::string driver = "ctr";
  std::vector<std::string> platforms;  // that may be built; never the default of a build
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

}  // namespace ctr
