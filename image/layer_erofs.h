// The EROFS form of a layer: layers/<hex>/tree.erofs is the whole tree as one file system image, layer.json says what it
// is, and fs/ is the empty directory where the store's mount namespace shows it (layer_mounts.h). Data is written as it
// comes and metadata at the end, so one pass over a tar suffices, whatever its order.
#pragma once

#include <memory>

#include "base/file.h"
#include "image/durability.h"
#include "image/layer_store.h"

namespace ctr {

inline constexpr const char* kErofsFileName = "tree.erofs";

/// The entries of a mounted image, with content, in canonical order. Keeps a descriptor of its root directory `tree`.
std::unique_ptr<EntrySource> read_layer_erofs(Fd tree, const LayerInfo& info);

std::unique_ptr<LayerWriter> make_erofs_writer(const fs::path& root, const UnsyncedMarkers& markers, OverlayXattrs xattrs);

}  // namespace ctr
