// Published is not yet durable: a new blob or layer appears by rename, without fsync, and a power cut may leave its
// name and lose its bytes. So an empty marker file, unsynced/<boot id>/<kind>-<hex>, is made before the rename. A sync
// of the whole store removes the markers; markers of another boot name objects that must count as absent, and the first
// `ctr` after that boot moves these away. A journalling file system keeps the order (marker, then name), which is all
// that this needs: no fsync until somebody promises durability.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace ctr {

class UnsyncedMarkers {
 public:
  /// `root` is the store. `boot_id` is /proc/sys/kernel/random/boot_id's, or a test's.
  UnsyncedMarkers(fs::path root, std::string boot_id);

  /// Marks root/`object` ("blobs/sha256/<hex>", "layers/<hex>") as not yet durable. REQUIRES: before its publication.
  void mark(std::string_view object) const;
  /// Makes everything durable that is published now: one syncfs, then the markers of these objects go. Nothing to do
  /// when there are no markers.
  void sync() const;
  /// The objects that another boot left unsynced, from now on absent: moves them into `trash`. REQUIRES: store.lock
  /// held exclusively.
  void discard_lost(const fs::path& trash) const;
  /// Whether discard_lost has anything to do.
  bool has_lost() const;

 private:
  fs::path root_;
  std::string boot_id_;
};

std::string current_boot_id();

}  // namespace ctr
