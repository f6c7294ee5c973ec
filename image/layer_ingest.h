// From compressed bytes to a layer in one pass: what arrives is stored as a blob and at the same time inflated, hashed
// and written as a layer by a thread of its own. Nothing is published before the blob's digest and the diff id are
// right.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "base/bytes.h"
#include "image/descriptor.h"
#include "image/layer_blob.h"
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

}  // namespace ctr
