// The layers of an image as one directory, for where no overlay can be mounted: in containers of a CI system, whose
// store lies on an overlay itself, or which may not mount at all. A tree that is only read shares the layers' files by
// hard links; one that is written to is a copy, and what changed in it becomes a layer by comparison.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "image/store.h"

namespace ctr {

/// Whether overlays can be mounted with an upper directory of this store: probed by doing it, once a process.
bool can_mount_overlay(const Store& store);

enum class MergedFiles { Linked, Copied };

/// Owners that a copy gets in the place of those that the layers name: for a container in a user namespace of its own.
struct OwnerShift {
  std::function<std::uint32_t(std::uint32_t)> uid;
  std::function<std::uint32_t(std::uint32_t)> gid;
};

/// Lays the layers out in `target`, a directory that is created, as an overlay of them would show them. Owners that this
/// process can't give are left out. REQUIRES: the layers are in the store.
void merge_layers(const Store& store, const std::vector<Digest>& diff_ids, const fs::path& target, MergedFiles files,
                  const OwnerShift& shift = {});

/// What a tree looked like, to find later what was changed in it: every change of a file changes its ctime.
class TreeStamp {
 public:
  /// REQUIRES: nobody writes to the tree meanwhile. Waits a few milliseconds, until the clock of file times has moved on.
  explicit TreeStamp(const fs::path& tree);

  /// Makes a layer of what is new, changed or gone in the tree, but for the `ignored` paths (as in Entry).
  LayerInfo write_changes(const LayerStore& store, const std::vector<std::string>& ignored = {}) const;

 private:
  struct Stamp {
    std::uint64_t inode = 0;
    std::int64_t seconds = 0;
    std::int64_t nanoseconds = 0;
    friend bool operator==(const Stamp&, const Stamp&) = default;
  };
  using Stamps = std::map<std::string, Stamp>;
  static Stamps read(const fs::path& tree);

  fs::path tree_;
  Stamps stamps_;
};

}  // namespace ctr
