// ctr build: the builder with the world that it does not know: registries, the network of RUN steps, URLs.
#pragma once

#include "builder/build.h"
#include "engine/context.h"

namespace ctr {

/// Executes this program again from a read-only mount of its file, unless it runs from one: a RUN step's first process is
/// a copy of this one, and must not lead to a file that the step could write. Before anything is read or printed.
void protect_from_builds();

/// Builds and names the image as the named builder is configured, or the chosen one without a name; throws BuildFailure
/// where the Dockerfile or a step is at fault, Error otherwise.
BuildResult build_image(Context& context, const BuildRequest& request, BuildProgress& progress,
                        const std::string& builder = {});

}  // namespace ctr
