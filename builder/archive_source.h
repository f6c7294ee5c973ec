// Archives that ADD unpacks: tar, plain or compressed, recognised by its bytes. Entries go to their places in the layer
// with the links of the base resolved inside it, as tar in a chroot would do it.
#pragma once

#include <optional>
#include <string>

#include "builder/layer_plan.h"
#include "image/layer_store.h"

namespace ctr {

/// True if the file is a tar with at least one entry, in a compression that is known.
bool is_archive(const SourceTree& tree, const std::string& path);

struct ArchiveTarget {
  std::string directory;             ///< resolved, in the new file system
  int base = -1;                     ///< directory descriptor of what is below, or -1
  std::optional<LayerOwner> owner;   ///< of everything, instead of what the archive says
  std::optional<std::int64_t> epoch;
};

/// Limits against archives that grow without end.
inline constexpr std::uint64_t kMaxArchiveEntries = 20'000'000;

void unpack_archive(const SourceTree& tree, const std::string& path, const ArchiveTarget& target, LayerWriter& writer);

}  // namespace ctr
