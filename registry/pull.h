// Pull: from a tag or digest to a runnable image in the store. Resolves the name to an index or manifest, picks the
// platform, brings the missing layers in parallel (verified and unpacked while they arrive, resumed after a
// break), and writes the name last. Keeps the descriptor that the registry served, index included.
#pragma once

#include "image/descriptor.h"
#include "image/platform.h"
#include "image/reference.h"
#include "image/store.h"
#include "registry/progress.h"
#include "registry/session.h"

#include <optional>
#include <string>
#include <vector>

namespace ctr {

struct PullOptions {
  std::optional<Platform> platform;  ///< none: this machine's
  int parallel_layers = 3;
  TransferProgress* progress = nullptr;
};

enum class PullStatus { Downloaded, UpToDate };

struct PullResult {
  Descriptor target;    ///< what the name points at: the index if there is one. Docker's "Digest:" line
  Descriptor manifest;  ///< of the chosen platform
  PullStatus status = PullStatus::Downloaded;
};

/// Thread safe for different references. Throws NotFound, Denied, Unavailable, Corrupt with Docker's words; for a
/// missing platform the error lists those that exist.
PullResult pull_image(Store& store, RegistrySession& session, const Reference& reference, const PullOptions& options);

/// Only what the name points at now: digest and media type, no bytes of layers. For `build` without a pull.
Descriptor resolve_reference(RegistrySession& session, const Reference& reference);

/// Manifest and config of the reference are brought into the store, layers are not: enough to plan a build.
PullResult pull_manifests(Store& store, RegistrySession& session, const Reference& reference,
                          const PullOptions& options);

/// The layers of a manifest that pull_manifests left out.
void pull_layers(Store& store, RegistrySession& session, const Reference& reference, const Descriptor& manifest,
                 const PullOptions& options);

/// All tags of the reference's repository (`pull -a`).
std::vector<std::string> list_tags(RegistrySession& session, const Reference& repository);

}  // namespace ctr
