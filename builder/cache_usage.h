// What the build cache takes on the disk, entry by entry, and how an entry goes. An entry is a layer with all the
// records that yield it, a cache mount, or what the steps of one build printed. Whether a layer is also an image's is
// not known here: images do not count as cache.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/time.h"
#include "builder/build_cache.h"

namespace ctr {

struct CacheEntry {
  enum class Kind { Layer, Mount, Log };
  Kind kind = Kind::Layer;
  std::string id;     ///< of a layer: its diff id; else the name of the directory
  std::string title;  ///< "[2/3] RUN make", "cache mount npm"
  std::uint64_t size = 0;
  Time created = {};
  Time last_used = {};
  std::vector<Digest> keys;  ///< a layer's records
  bool in_use = false;       ///< a mount that a running step holds
};

/// All entries, those first that were not used for the longest time.
std::vector<CacheEntry> list_cache_entries(const fs::path& store_root, const fs::path& run);

/// Takes an entry out of the cache; a layer itself goes with the next garbage collection. False if it is in use.
bool remove_cache_entry(const fs::path& store_root, const fs::path& run, const CacheEntry& entry);

/// What helps the next build but is no entry: notes for --explain, hashes of contexts' files, damaged records.
void remove_cache_notes(const fs::path& store_root);

/// The directory of what the steps of builds printed: a directory a build, a file a step.
fs::path build_logs_directory(const fs::path& store_root);

}  // namespace ctr
