// The bridge of a network on this host: made when its first container comes, removed when its last one has gone. Its
// alias is the owner's mark; what bears another's is never touched.
#pragma once

#include <string>
#include <vector>

#include "base/lock.h"
#include "base/paths.h"
#include "runtime/network_links.h"
#include "runtime/network_record.h"
#include "runtime/network_rules.h"

namespace ctr {

/// $CTR_RUN/networks/<name>: leases/, names/, pointers/.
fs::path network_directory(const Paths& paths, const std::string& network);

/// Shared by containers that join a network (which is prepared for them), exclusive for removing bridges and rules.
FileLock lock_joining(const Paths& paths, const std::string& network);
/// The exclusive one; nothing when a container is joining.
std::optional<FileLock> try_lock_joining(const Paths& paths);

BridgeRules bridge_rules(const NetworkRecord& record);

/// Whether the nftables rules for the bridge are in place; without them its loopback guard is missing too.
enum class Rules { Present, Absent };

/// The bridge, up and complete. REQUIRES: the shared lock. Throws Busy when the name is somebody else's.
Link ensure_bridge(const Paths& paths, const NetworkLinks& links, const NetworkRecord& record, Rules rules);

/// Removes it if it is ours. Absence is fine. REQUIRES: the exclusive lock.
void remove_bridge(const Paths& paths, const NetworkLinks& links, const std::string& bridge);

}  // namespace ctr
