// Making sure that an image is there before a container is made of it, with Docker's words on standard error.
#pragma once

#include "cli/container_options.h"
#include "engine/context.h"

namespace ctr {

enum class PullOutput { Shown, Quiet };

/// Pulls what the policy asks for. Throws NotFound in Docker's words when the policy forbids it or nobody has it.
void provide_image(Context& context, const CreateRequest& request, PullWhen when, PullOutput output);

}  // namespace ctr
