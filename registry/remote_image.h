// What a registry says about an image, without taking it: the manifest or index under the name, the chosen platform's
// manifest and its config. Nothing is stored, no layer is asked for; artifacts that are no images are described too.
#pragma once

#include <optional>
#include <string>

#include "base/error.h"
#include "image/config.h"
#include "image/manifest.h"
#include "image/platform.h"
#include "image/reference.h"
#include "registry/session.h"

namespace ctr {

struct RemoteImage {
  Descriptor target;           ///< what the name points at: the index if there is one
  std::optional<Index> index;  ///< as served, of the target
  Descriptor manifest;         ///< of the chosen platform
  Manifest document;
  std::optional<ImageConfig> config;  ///< none: an artifact
};

/// Throws NotFound with the platforms that exist, and all that pull_image throws.
RemoteImage describe_remote_image(RegistrySession& session, const Reference& reference, const Platform& wanted);

/// "no matching manifest for linux/s390x in the manifest list entries: the image has linux/amd64, linux/arm64".
Error no_matching_manifest(const Platform& wanted, const Index& index);

}  // namespace ctr
