// ctr copy: registry/copy.h with this machine's registries configuration.
#pragma once

#include <string>

#include "engine/context.h"
#include "image/descriptor.h"
#include "registry/copy.h"

namespace ctr {

/// `source` and `destination` are "HOST/app:v1", "oci:DIR[:TAG]" or "docker-archive:FILE[:NAME]". Returns what the
/// destination stands for now.
Descriptor copy_between_registries(Context& context, const std::string& source, const std::string& destination,
                                   const CopyOptions& options);

}  // namespace ctr
