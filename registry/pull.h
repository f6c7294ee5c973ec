// Pull: from a tag or digest to a runnable image in the store. Resolves the name to an index or manifest, picks the
// platform, brings the missing layers in parallel (verified and unpacked while they arrive, resumed after a break), and
// writes the name last. Keeps the descriptor that the registry served, index included.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "image/descriptor.h"
#include "image/image.h"
#include "image/platform.h"
#include "image/reference.h"
#include "image/store.h"
#include "registry/progress.h"
#include "registry/session.h"

namespace ctr {

struct PullOptions {
  /// What the image must be for; a single image for another platform is refused.
  std::optional<Platform> platform = {};
  /// Which image of an index to take if `platform` is not given; none: this machine's. A single image is taken as it
  /// is.
  std::optional<Platform> preferred = {};
  std::size_t parallel_layers = 3;
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

/// What the name points at now: digest and media type, nothing is stored.
Descriptor resolve_reference(RegistrySession& session, const Reference& reference);

/// Manifest and config of the reference are brought into the store, layers are not, and nothing is named: enough to
/// plan a build. Pin what matters before, and again ask has_all_layers before running.
PullResult pull_manifests(Store& store, RegistrySession& session, const Reference& reference,
                          const PullOptions& options);

/// The layers of a manifest that is in the store, from the reference's repository.
void pull_layers(Store& store, RegistrySession& session, const Reference& reference, const Descriptor& manifest,
                 const PullOptions& options);

/// Whether every layer of the image is in the store: a platform of an index may have been planned with, not pulled.
bool has_all_layers(const Store& store, const Image& image);

/// All tags of the reference's repository (`pull -a`, `ctr tags`).
std::vector<std::string> list_tags(RegistrySession& session, const Reference& repository);

}  // namespace ctr
