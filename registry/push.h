// Push: children first, the tag last, and nothing that the registry already has. Layers that were built here are
// compressed before they are sent, always to the same bytes; what a layer became is remembered, so that a second push
// asks with HEAD and sends nothing.
#pragma once

#include <optional>
#include <string>

#include "image/compression.h"
#include "image/descriptor.h"
#include "image/platform.h"
#include "image/reference.h"
#include "image/store.h"
#include "registry/progress.h"
#include "registry/session.h"

namespace ctr {

/// What to do if Amazon's registry has no such repository yet (`push --create`). Others make it on push.
enum class MissingRepository { Fail, Create };

struct PushOptions {
  std::optional<Platform> platform = {};  ///< of an index only this manifest, as a plain manifest
  std::size_t parallel_layers = 5;
  CompressionChoice compression = {};
  MissingRepository missing_repository = MissingRepository::Fail;
  TransferProgress* progress = nullptr;
};

struct PushResult {
  Descriptor target;        ///< what the tag points at in the registry: Docker's "v1: digest: sha256:... size: N"
  std::string notice = {};  ///< a sentence if something else was sent than the local name holds, or empty
};

/// `source` is the local image (as ImageStore::find gives it), `destination` its name in the registry, the same in
/// `ctr push`.
PushResult push_image(Store& store, RegistrySession& session, const Descriptor& source, const Reference& destination,
                      const PushOptions& options);

}  // namespace ctr
