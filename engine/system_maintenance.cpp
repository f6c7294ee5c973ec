// Looking after the whole store: `system df`, `system prune`, `system reset`.
#include <algorithm>
#include <set>

#include "base/time.h"
#include "builder/build_cache.h"
#include "engine/container_store.h"
#include "engine/garbage_roots.h"
#include "engine/system_info.h"
#include "engine/volumes.h"
#include "image/store.h"
#include "runtime/bridge_network.h"

namespace ctr {

namespace {

std::uint64_t layer_usage(Context& context, const Digest& diff_id) {
  return disk_usage(context.store().root() / "layers" / diff_id.hex());
}

/// The layers that images need, each once.
std::set<Digest> image_layers(Context& context, const std::vector<ImageSummary>& images) {
  std::set<Digest> layers;
  for (const ImageSummary& summary : images) {
    if (const auto found = find_image(context, summary.id, std::nullopt)) {
      for (const Layer& layer : found->image.layers) layers.insert(layer.diff_id);
    }
  }
  return layers;
}

DiskUsageRow image_row(Context& context, DiskUsage& usage) {
  DiskUsageRow row{"Images", static_cast<std::int64_t>(usage.images.size()), 0, 0, 0};
  std::uint64_t in_use = 0;
  for (const ImageSummary& image : usage.images) {
    if (image.containers > 0) {
      ++row.active;
      in_use += image.size;
    }
  }
  for (const Digest& layer : image_layers(context, usage.images)) row.size += layer_usage(context, layer);
  row.size += disk_usage(context.store().root() / "blobs");
  row.reclaimable = row.size - std::min(row.size, in_use);
  return row;
}

DiskUsageRow container_row(const DiskUsage& usage) {
  DiskUsageRow row{"Containers", static_cast<std::int64_t>(usage.containers.size()), 0, 0, 0};
  for (const ContainerSummary& container : usage.containers) {
    const auto size = static_cast<std::uint64_t>(std::max<std::int64_t>(0, container.size_rw));
    row.size += size;
    if (container.state.is_running()) {
      ++row.active;
    } else {
      row.reclaimable += size;
    }
  }
  return row;
}

DiskUsageRow volume_row(Context& context, DiskUsage& usage) {
  DiskUsageRow row{"Local Volumes", 0, 0, 0, 0};
  for (const Volume& volume : list_volumes(context, {})) {
    const auto links = static_cast<std::int64_t>(volume_users(context, volume.name).size());
    const std::uint64_t size = volume_size(volume);
    usage.volumes.push_back({volume.name, links, size});
    ++row.total_count;
    row.size += size;
    if (links > 0) {
      ++row.active;
    } else {
      row.reclaimable += size;
    }
  }
  return row;
}

DiskUsageRow cache_row(Context& context, DiskUsage& usage) {
  DiskUsageRow row{"Build Cache", 0, 0, 0, 0};
  const std::set<Digest> of_images = image_layers(context, usage.images);
  std::set<Digest> counted;
  for (const BuildCache::Usage& entry : BuildCache(context.paths().root, context.paths().run).list()) {
    BuildCacheUsage shown;
    shown.id = entry.key.hex();
    shown.type = "regular";
    shown.last_used_at = format_time(entry.last_used);
    const Digest& layer = entry.record.layer;
    shown.shared = of_images.contains(layer);
    if (!shown.shared && counted.insert(layer).second) shown.size += layer_usage(context, layer);
    ++row.total_count;
    row.size += shown.size;
    row.reclaimable += shown.size;
    usage.build_cache.push_back(std::move(shown));
  }
  return row;
}

std::vector<std::string> prune_build_cache(Context& context, const PruneBoundary& boundary) {
  std::vector<std::string> removed;
  const BuildCache cache(context.paths().root, context.paths().run);
  for (const BuildCache::Usage& entry : cache.list()) {
    if (!boundary.is_older(format_time(entry.last_used))) continue;
    cache.remove(entry.key);
    removed.push_back(entry.key.hex());
  }
  return removed;
}

}  // namespace

DiskUsage disk_usage(Context& context) {
  DiskUsage usage;
  usage.images = list_images(context, {});
  ListContainersRequest containers;
  containers.all = true;
  containers.size = true;
  usage.containers = list_containers(context, containers);
  usage.rows = {image_row(context, usage), container_row(usage), volume_row(context, usage), cache_row(context, usage)};
  return usage;
}

SystemPruneReport prune_system(Context& context, const SystemPruneRequest& request) {
  SystemPruneReport report;
  PruneReport containers = prune_containers(context, request.filters);
  report.containers = std::move(containers.deleted);
  report.space_reclaimed += containers.space_reclaimed;
  if (request.volumes) {
    PruneReport volumes = prune_volumes(context, {});
    report.volumes = std::move(volumes.deleted);
    report.space_reclaimed += volumes.space_reclaimed;
  }
  report.build_cache = prune_build_cache(context, PruneBoundary(request.filters));
  ImagePruneReport images = prune_images(context, request.all_images ? PruneWhich::Unused : PruneWhich::Dangling, request.filters);
  report.images = std::move(images.removed);
  report.space_reclaimed += images.space_reclaimed + collect_garbage(context).bytes;
  return report;
}

std::vector<std::string> reset_system(Context& context) {
  std::vector<std::string> said;
  const std::vector<std::string> ids = context.containers().list_ids();
  for (const std::string& id : ids) remove_container(context, id, RemoveForce::Yes, RemoveVolumes::Yes);
  said.push_back("Removed " + std::to_string(ids.size()) + (ids.size() == 1 ? " container" : " containers"));
  remove_all_networks(context.paths());
  said.push_back("Removed the bridges and the nftables table");
  const Paths& paths = context.paths();
  // The version file goes last: a reset that was broken off is known as a store, and can be done again.
  for (const std::string& name : list_directory(paths.root)) {
    if (name != "version") remove_tree(paths.root / name);
  }
  remove_tree(paths.root / "version");
  remove_tree(paths.run);
  said.push_back("Removed the store " + paths.root.native());
  return said;
}

}  // namespace ctr
