// What `info`, `version`, `system df`, `system prune` and `system reset` know, in Docker's field names.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "engine/abilities.h"
#include "engine/cache_prune.h"
#include "engine/containers.h"
#include "engine/context.h"
#include "engine/images.h"

namespace ctr {

/// Docker's `version` document: Client and Server, each with Version, ApiVersion, Os, Arch, KernelVersion, Components…
/// Opens nothing: it must be fast.
Json version_document();
/// Docker's `info` document, and our own keys: ConfigFiles, FreeSpace, Abilities.
Json system_information(Context& context);

struct DiskUsageRow {
  std::string type;  // "Images", "Containers", "Local Volumes", "Build Cache"
  std::int64_t total_count = 0;
  std::int64_t active = 0;
  std::uint64_t size = 0;
  std::uint64_t reclaimable = 0;
};
struct VolumeUsage {
  std::string name;
  std::int64_t links = 0;
  std::uint64_t size = 0;
};
struct DiskUsage {
  std::vector<DiskUsageRow> rows;
  std::vector<ImageSummary> images;
  std::vector<ContainerSummary> containers;
  std::vector<VolumeUsage> volumes;
  std::vector<BuildCacheUsage> build_cache;
};
DiskUsage disk_usage(Context& context);

struct SystemPruneRequest {
  bool all_images = false;
  bool volumes = false;
  Filters filters;
};
struct SystemPruneReport {
  std::vector<std::string> containers;
  std::vector<std::string> networks;
  std::vector<std::string> volumes;
  std::vector<RemovedImageItem> images;
  std::vector<std::string> build_cache;
  std::uint64_t space_reclaimed = 0;
};
SystemPruneReport prune_system(Context& context, const SystemPruneRequest& request);

/// Stops and removes all containers, then the store, bridges and the nftables table. Returns what was removed, in words.
std::vector<std::string> reset_system(Context& context);

}  // namespace ctr
