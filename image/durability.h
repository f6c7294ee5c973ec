// Published is not yet durable: a new blob or layer appears by rename, without fsync, and a power cut may leave its name
// and lose its bytes. So an empty marker file, unsynced/<boot id>/<object>, is made before the rename. A sync of the
// whole store removes the markers. Objects that another boot left marked may have lost their bytes: the first `ctr` after
// that boot keeps what proves itself whole (a blob by its digest) and moves the rest away. A journalling file system
// keeps the order (marker, then name), which is all that this needs: no fsync until somebody promises durability.
#pragma once

#include <set>
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
  /// The objects that another boot left unsynced.
  std::vector<std::string> find_lost() const;
  /// Ends their state: those in `whole` stay, the others are moved into `trash`. REQUIRES: store.lock held exclusively.
  void settle_lost(const std::set<std::string>& whole, const fs::path& trash) const;
  /// Whether there are any.
  bool has_lost() const;

 private:
  fs::path root_;
  std::string boot_id_;
};

std::string current_boot_id();

}  // namespace ctr
