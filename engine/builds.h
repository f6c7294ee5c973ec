// ctr build: the builder with the world that it does not know: registries, the network of RUN steps, URLs.
#pragma once

#include "builder/build.h"
#include "engine/context.h"

namespace ctr {

/// Builds and names the image; throws BuildFailure where the Dockerfile or a step is at fault, Error otherwise.
BuildResult build_image(Context& context, const BuildRequest& request, BuildProgress& progress);

}  // namespace ctr
