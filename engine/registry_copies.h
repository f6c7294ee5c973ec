// ctr copy: registry/copy.h with this machine's registries configuration.
#pragma once

#include <optional>
#include <string>

#include "engine/context.h"
#include "image/descriptor.h"
#include "image/platform.h"
#include "registry/progress.h"

namespace ctr {

/// `source` and `destination` are "HOST/app:v1", "oci:DIR[:TAG]" or "docker-archive:FILE[:NAME]". Returns what the
/// destination stands for now.
Descriptor copy_between_registries(Context& context, const std::string& source, const std::string& destination,
                                   const std::optional<Platform>& platform, TransferProgress& progress);

}  // namespace ctr
