// Layers that are EROFS images, mounted: each once, on its layers/<hex>/fs, in the store's mount namespace
// ($CTR_RUN/store.ns), because every mount of an image has a page cache of its own. So a layer's tree has one path in
// both forms; who wants to see an image there enters the namespace, which the calls here do on a thread of their own.
// Removing the directory of a layer unmounts it (the kernel does that for mount points of other namespaces).
#pragma once

#include <memory>
#include <span>
#include <string>

#include "base/fd.h"
#include "base/file.h"
#include "image/digest.h"

namespace ctr {

/// Whether this machine mounts EROFS images from files, found out by mounting one in `scratch`: why not, or nothing.
/// Looks once a process.
const std::string& why_no_erofs(const fs::path& scratch);

/// Safe for use by several threads and processes at once.
class LayerMounts {
 public:
  LayerMounts(fs::path root, fs::path run);
  LayerMounts(LayerMounts&&) noexcept;
  ~LayerMounts();

  /// Mounts those of these layers that are images and not mounted yet. The file of the namespace in which all their
  /// paths lead to their trees; empty when none of them is an image.
  fs::path mount(std::span<const Digest> diff_ids) const;
  /// The root directory of a layer's tree, of either form.
  Fd open_tree(const Digest& diff_id) const;

  fs::path tree_path(const Digest& diff_id) const { return layers_ / diff_id.hex() / "fs"; }
  fs::path image_path(const Digest& diff_id) const;

 private:
  struct State;
  Fd& namespace_now() const;
  bool fits(int mount_namespace) const;
  void mount_missing(const Digest& diff_id) const;

  fs::path root_;
  fs::path run_;
  fs::path layers_;
  std::unique_ptr<State> state_;
};

/// An EROFS image as a detached mount: past the host's page cache where the kernel can, so that a page is cached once.
Fd mount_erofs_detached(const fs::path& image);

}  // namespace ctr
