// A layer's bytes as a registry or an archive takes them: the blob that was kept, or the canonical tar made again from
// the layer's tree and compressed. What was made once is remembered by digest, so that the next push can ask before it
// makes.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/fd.h"
#include "image/compression.h"
#include "image/descriptor.h"

namespace ctr {

class Store;

/// Owns an open file of exactly blob.size bytes.
struct LayerBlob {
  Descriptor blob;
  Fd file;
};

/// The layer's bytes for sending. A kept blob is taken as it is whatever `choice` says, unless it is uncompressed and
/// `choice` is not; else the canonical tar is made again, compressed, and its digest remembered. `manifest_type` says
/// which family of media types to use.
LayerBlob open_layer_blob(Store& store, const Descriptor& blob, const Digest& diff_id, CompressionChoice choice,
                          std::string_view manifest_type);

/// Whether a layer's blob can be had from this store: it is kept, or can be made again byte for byte.
bool can_open_layer_blob(const Store& store, const Descriptor& blob, const Digest& diff_id);

/// What open_layer_blob would give, if that is known without making it: lets a push ask the registry first.
std::optional<Descriptor> known_layer_blob(const Store& store, const Descriptor& blob, const Digest& diff_id,
                                           CompressionChoice choice, std::string_view manifest_type);

}  // namespace ctr
