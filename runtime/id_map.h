// Mappings of user and group ids between a user namespace and the one around it.
#pragma once

#include <cstdint>
#include <optional>
#include <sys/types.h>
#include <vector>

#include "base/fd.h"
#include "runtime/spec.h"

namespace ctr {

/// What the id is outside, or nothing when it is not mapped.
std::optional<std::uint32_t> map_to_host(const std::vector<IdMapping>& mappings, std::uint32_t id);

/// Whether the process may write any map (CAP_SETUID where it is), or only what newuidmap grants.
enum class MapRights { Full, Helper, SingleId };
MapRights own_map_rights();

/// Writes the maps of a process in a new user namespace, through newuidmap and newgidmap where the rights need that.
/// Returns whether setgroups may be called inside.
bool write_id_maps(pid_t pid, const std::vector<IdMapping>& uids, const std::vector<IdMapping>& gids);

/// A user namespace that has these maps and nobody in it: what an idmapped mount is made with.
Fd make_mapping_namespace(const std::vector<IdMapping>& uids, const std::vector<IdMapping>& gids);

}  // namespace ctr
