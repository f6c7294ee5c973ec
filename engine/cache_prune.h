// The build cache as `du` shows it and as prunes and builds bound it. Bytes that an image or a container shares are no
// cache's: they are counted with those, and taking them out of the cache would free nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/context.h"

namespace ctr {

struct BuildCacheUsage {
  std::string id;
  std::string type;  // "regular", "exec.cachemount", "internal": what the steps of a build printed
  std::string description;
  std::uint64_t size = 0;
  std::string created_at;
  std::string last_used_at;
  std::int64_t usage_count = 0;
  bool in_use = false;
  bool shared = false;   // its bytes are an image's or a container's too
  bool is_mutable = false;
};

struct CacheTotals {
  std::uint64_t shared = 0;
  std::uint64_t private_bytes = 0;
  std::uint64_t reclaimable = 0;
};

/// Those first that were not used for the longest time. `filters` are those of `buildx du`: "type=regular", "id=…",
/// "description~=…", "until=24h", "inuse", "shared", "private"; throws Invalid for others.
std::vector<BuildCacheUsage> build_cache_usage(Context& context, const std::vector<std::string>& filters = {});
CacheTotals total_of(const std::vector<BuildCacheUsage>& entries);

/// Unshared: entries whose going frees space.
enum class CachePrune { Unshared, Everything };

struct CachePruneRequest {
  CachePrune which = CachePrune::Unshared;
  std::vector<std::string> filters;
  /// With any of these, entries go only until the cache fits, never below what is reserved. Bytes; 0: not given.
  std::uint64_t reserved_space = 0;
  std::uint64_t max_used_space = 0;
  std::uint64_t min_free_space = 0;
};
struct CachePruneReport {
  std::vector<BuildCacheUsage> removed;
  std::uint64_t space_reclaimed = 0;
};
CachePruneReport prune_build_cache(Context& context, const CachePruneRequest& request);

/// After a build: entries go, the longest unused first, until the cache is within its bound: `size` ("20GB", "10%"), or
/// what the configuration says, or a tenth of the disk. What the steps of the last hundred builds printed is kept.
void bound_build_cache(Context& context, const std::string& size);

/// "20GB" or "10%" of the disk that holds the store. Throws Invalid.
std::uint64_t disk_space(Context& context, const std::string& text);

}  // namespace ctr
