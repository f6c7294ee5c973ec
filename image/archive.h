// Images as one file: what `save` writes and `load` reads. The file is an OCI layout and a docker-archive at once
// (manifest.json beside index.json), as Docker's own save writes it, so that every tool that takes one of them takes
// it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "image/config.h"
#include "image/descriptor.h"
#include "image/reference.h"
#include "image/store.h"

namespace ctr {

struct ImageToSave {
  /// The names that the archive gives it; none for an image that was named by its digest.
  std::vector<Reference> names;
  Descriptor target;
};

/// Writes images with all that is here of them, or of one platform alone. Layers that were built here are written as
/// their canonical tars. An index of which children are absent is not written: the one child that is here, or an index
/// of those that are, takes its place. Returns what was written for each image. Throws NotFound, naming what is absent.
std::vector<Descriptor> save_images(Store& store, const std::vector<ImageToSave>& images,
                                    const std::optional<Platform>& platform, ByteSink& sink);

struct LoadedImage {
  /// Empty: the archive gives no name.
  std::vector<Reference> names;
  Descriptor target;
  /// The config's digest (of this machine's platform, for an index).
  Digest id;
};

/// Reads an OCI layout or a docker-archive, plain, gzip or zstd, as it streams in; stores blobs and layers, syncs, and
/// names the images. Throws Invalid or Corrupt; then nothing is named.
std::vector<LoadedImage> load_images(Store& store, ByteSource& source, const std::optional<Platform>& platform = {});

/// An image of one layer from a tar of a root filesystem (any compression); `config` gives the rest. Kept as
/// an image without a name.
Descriptor import_rootfs(Store& store, ByteSource& source, ImageConfig config, std::string_view message);

}  // namespace ctr
