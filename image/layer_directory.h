// The directory form of a layer: layers/<hex>/fs holds the tree as overlay reads it (whiteouts are 0/0 devices, opaque
// directories have an attribute), `entries` lists what is in it, layer.json says what it is. Written in a directory of
// another name and renamed when complete.
#pragma once

#include <memory>
#include <string>

#include "base/fd.h"
#include "base/file.h"
#include "image/durability.h"
#include "image/entry.h"
#include "image/entry_list.h"
#include "image/layer_store.h"

namespace ctr {

/// A layer that is being made: layers/.new-<random>, locked while somebody works on it.
class NewLayerDirectory {
 public:
  NewLayerDirectory(const fs::path& root, const UnsyncedMarkers& markers);
  /// Whatever was not published goes to the trash.
  ~NewLayerDirectory();
  NewLayerDirectory(const NewLayerDirectory&) = delete;
  NewLayerDirectory& operator=(const NewLayerDirectory&) = delete;

  const fs::path& path() const noexcept { return path_; }
  fs::path tree() const { return path_ / "fs"; }
  /// Writes `entries` and layer.json, and renames. If the layer is there already, this one is dropped.
  void publish(const LayerInfo& info, std::string entry_list);
  /// The same for a form that needs no list.
  void publish(const LayerInfo& info);

 private:
  fs::path root_;
  UnsyncedMarkers markers_;
  fs::path path_;
  Fd lock_;
};

std::unique_ptr<LayerWriter> make_directory_writer(const fs::path& root, const UnsyncedMarkers& markers,
                                                   OverlayXattrs xattrs);

/// The entries of a tree in directory form, with content. Keeps a descriptor of `tree`.
std::unique_ptr<EntrySource> read_layer_directory(const fs::path& tree, std::string entry_list);

Json to_json(const LayerInfo& info);
LayerInfo layer_info_from_json(const Json& json);

}  // namespace ctr
