// From compressed bytes to a layer in one pass: what arrives is stored as a blob and at the same time inflated, hashed
// and written as a layer by a thread of its own. Nothing is published before the blob's digest and the diff id are
// right.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "base/fd.h"
#include "image/compression.h"
#include "image/descriptor.h"
#include "image/layer_store.h"

namespace ctr {

class Store;

/// One layer's download. `write` blocks while the layer's thread is behind, so memory stays bounded.
class LayerIngest final : public ByteSink {
 public:
  /// Waits while another process downloads the same blob. A partial download resumes: its bytes are read back here.
  LayerIngest(Store& store, const Descriptor& blob, const Digest& diff_id);
  ~LayerIngest() override;
  LayerIngest(const LayerIngest&) = delete;
  LayerIngest& operator=(const LayerIngest&) = delete;

  /// False when everything is there; then nothing may be written, and commit returns at once. (If the blob is there but
  /// not the layer, the constructor starts to unpack it.)
  bool needs_bytes() const noexcept;
  /// Where the download has to begin.
  std::uint64_t offset() const noexcept;
  void write(Bytes bytes) override;
  /// Forgets all bytes, for a server that answers a range with the whole.
  void restart();
  /// Verifies and publishes blob and layer. Throws Corrupt, naming which digest is wrong. Without commit (an error, a
  /// break) the partial download stays for the next try.
  LayerInfo commit();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Writes a layer from a blob that the store has. Throws Corrupt if its diff id is another.
LayerInfo unpack_blob(Store& store, const Descriptor& blob, const Digest& diff_id);

/// Whether a pull need not fetch this layer: the tree is there, and the blob is, or can be made again byte for byte.
bool has_layer(const Store& store, const Descriptor& blob, const Digest& diff_id);

/// A layer's blob as a registry or an archive wants it. Owns an open file of exactly blob.size bytes.
struct LayerBlob {
  Descriptor blob;
  Fd file;
};

/// The layer's bytes for sending. A kept blob is taken as it is whatever `choice` says, unless it is uncompressed and
/// `choice` is not; else the canonical tar is made again, compressed, and its digest remembered. `manifest_type` says
/// which family of media types to use.
LayerBlob open_layer_blob(Store& store, const Descriptor& blob, const Digest& diff_id, CompressionChoice choice,
                          std::string_view manifest_type);

/// What open_layer_blob would give, if that is known without making it: lets a push ask the registry first.
std::optional<Descriptor> known_layer_blob(const Store& store, const Descriptor& blob, const Digest& diff_id,
                                           CompressionChoice choice, std::string_view manifest_type);

}  // namespace ctr
