// The store: one place for everything, $CTR_ROOT, opened here and handed out in parts. image/ keeps what images are
// made of: bytes by digest, names, layers as file trees, writable snapshots, and who relies on them (pins). May depend
// on base/ alone; knows neither containers nor builds nor registries.
//
// Nobody holds store.lock for long. A running command owns a Pin: before it relies on a blob or a layer it adds the
// digest, and only then looks whether the object is there. Prune takes the lock exclusively just to read the roots and
// to rename the rest into trash/.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/file.h"
#include "image/blob_store.h"
#include "image/image_store.h"
#include "image/layer_store.h"
#include "image/snapshots.h"

namespace ctr {

inline constexpr int kStoreFormat = 1;

/// What a running command relies on; ends with it, however it ends. Safe for use by several threads at once.
class Pin {
 public:
  Pin(Pin&&) noexcept;
  Pin& operator=(Pin&&) noexcept;
  ~Pin();

  /// From now on prune keeps this blob or layer, if it is (or comes) there. Check for its presence after this call.
  void add(const Digest& digest);
  void add(const std::vector<Digest>& digests);
  /// The same for a snapshot.
  void add_snapshot(std::string_view id);
  /// The same for a root filesystem of these layers (lowest first), and for what plan_rootfs makes of them.
  void add_stack(const std::vector<Digest>& diff_ids);

 private:
  friend class Store;
  struct State;
  explicit Pin(std::unique_ptr<State> state);
  void add_lines(const std::string& lines);
  std::unique_ptr<State> state_;
};

/// Safe for use by several threads at once.
class Store {
 public:
  /// Opens or makes the store. Throws Invalid for a store of a newer format (by name) and for one on NFS.
  Store(const fs::path& root, const fs::path& run, LayerFormat format = LayerFormat::Auto);

  const fs::path& root() const noexcept { return root_; }
  const fs::path& run() const noexcept { return run_; }
  const BlobStore& blobs() const noexcept { return blobs_; }
  const ImageStore& images() const noexcept { return images_; }
  const LayerStore& layers() const noexcept { return layers_; }
  const Snapshots& snapshots() const noexcept { return snapshots_; }
  const UnsyncedMarkers& markers() const noexcept { return markers_; }

  Pin pin() const;
  /// Makes every blob and layer durable that is published now. Call it before naming what can't be fetched again.
  void sync() const { markers_.sync(); }

  fs::path lock_path() const { return root_ / "store.lock"; }
  fs::path trash_path() const { return root_ / "trash"; }
  fs::path pins_path() const { return run_ / "pins"; }

 private:
  void settle_lost() const;

  fs::path root_;
  fs::path run_;
  UnsyncedMarkers markers_;
  BlobStore blobs_;
  ImageStore images_;
  LayerStore layers_;
  Snapshots snapshots_;
};

}  // namespace ctr
