// `idmap` of -v and --mount: an idmapped mount, so that what the container makes there belongs to somebody else on disk.
// Alone it means: the user that the container runs as is, on disk, the caller (of sudo, where that is how we were called).
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/spec.h"
#include "runtime/user_lookup.h"

namespace ctr {

struct MountMapping {
  std::vector<IdMapping> uids;  // id on disk, id in the container, how many
  std::vector<IdMapping> gids;
};

/// "uids=0-1000-1#1-1-999;gids=0-1000-1": each id on disk, id in the container, how many. Throws Invalid.
MountMapping parse_mount_mapping(std::string_view text);

/// The text of the mapping under which files of `inside` are the caller's; empty when they are anyway.
std::string caller_mapping(const ResolvedUser& inside);

/// The same for an explicit pair of ids: two change places, all others stay what they are.
std::string swapped_ids(std::uint32_t on_disk, std::uint32_t inside);

}  // namespace ctr
