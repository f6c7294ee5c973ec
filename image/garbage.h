// Garbage collection: what no name, container, build record or running command leads to goes. The roots are read, and
// the rest is renamed into trash/, under the store's lock; deleting comes afterwards, without it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "image/descriptor.h"
#include "image/store.h"

namespace ctr {

/// What must stay besides named images and what live pins hold.
struct GarbageRoots {
  /// Images, with everything behind them.
  std::vector<Descriptor> images;
  /// Blobs or layers (diff ids).
  std::vector<Digest> digests;
  /// Root filesystems in use: their layers, lowest first.
  std::vector<std::vector<Digest>> stacks;
  std::vector<std::string> snapshots;
};

/// Adds the roots of another part (containers, build records). Called with store.lock held: must be quick.
using RootProvider = std::function<void(GarbageRoots&)>;

struct GarbageReport {
  std::vector<Digest> blobs;
  std::vector<Digest> layers;
  std::vector<std::string> snapshots;
  std::uint64_t bytes = 0;
};

/// Removes everything that no root leads to, partial downloads that nobody writes included.
GarbageReport collect_garbage(const Store& store, const std::vector<RootProvider>& providers);

/// What collect_garbage would remove now: changes nothing.
GarbageReport find_garbage(const Store& store, const std::vector<RootProvider>& providers);

/// Deletes what is in trash/, also what an earlier command left there.
void empty_trash(const Store& store);

/// The disk space that a tree's files take (blocks, each hard link once). Directories count nothing, as with Docker.
std::uint64_t disk_usage(const fs::path& path);

}  // namespace ctr
