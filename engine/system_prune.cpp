// What the store takes and what of it can go: `system df`, `system prune`, `system reset`.

#include <sys/mount.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "base/time.h"
#include "engine/build_services.h"
#include "engine/cache_prune.h"
#include "engine/container_cleanup.h"
#include "engine/container_store.h"
#include "engine/garbage_roots.h"
#include "engine/image_names.h"
#include "engine/networks.h"
#include "engine/system_info.h"
#include "engine/volumes.h"
#include "image/store.h"
#include "runtime/bridge_network.h"
#include "runtime/cgroup.h"

namespace ctr {
namespace {

DiskUsageRow image_row(Context& context, const DiskUsage& usage) {
  DiskUsageRow row;
  row.type = "Images";
  std::set<Digest> layers;
  std::set<Digest> used_layers;
  const std::map<std::string, std::int64_t> used = used_images(context);
  for (const StoredImage& stored : stored_images(context)) {
    for (const Layer& layer : stored.image.layers) {
      layers.insert(layer.diff_id);
      if (used.contains(stored.id)) used_layers.insert(layer.diff_id);
    }
  }
  for (const Digest& diff_id : layers) {
    const std::optional<LayerInfo> info = context.store().layers().find(diff_id);
    if (!info) continue;
    row.size += info->content_size;
    if (!used_layers.contains(diff_id)) row.reclaimable += info->content_size;
  }
  row.total_count = static_cast<std::int64_t>(usage.images.size());
  row.active = std::count_if(usage.images.begin(), usage.images.end(),
                             [&](const ImageSummary& image) { return used.contains(image.id); });
  return row;
}

DiskUsageRow container_row(const DiskUsage& usage) {
  DiskUsageRow row;
  row.type = "Containers";
  for (const ContainerSummary& container : usage.containers) {
    const auto size = static_cast<std::uint64_t>(std::max<std::int64_t>(0, container.size_rw));
    row.size += size;
    if (container.state.is_running()) {
      ++row.active;
    } else {
      row.reclaimable += size;
    }
  }
  row.total_count = static_cast<std::int64_t>(usage.containers.size());
  return row;
}

DiskUsageRow volume_row(const DiskUsage& usage) {
  DiskUsageRow row;
  row.type = "Local Volumes";
  for (const VolumeUsage& volume : usage.volumes) {
    row.size += volume.size;
    if (volume.links > 0) {
      ++row.active;
    } else {
      row.reclaimable += volume.size;
    }
  }
  row.total_count = static_cast<std::int64_t>(usage.volumes.size());
  return row;
}

/// As `du` sums up: what an image or a container shares is counted with those.
DiskUsageRow cache_row(const DiskUsage& usage) {
  const CacheTotals totals = total_of(usage.build_cache);
  DiskUsageRow row;
  row.type = "Build Cache";
  row.size = totals.private_bytes;
  row.reclaimable = totals.reclaimable;
  row.active = std::count_if(usage.build_cache.begin(), usage.build_cache.end(),
                             [](const BuildCacheUsage& entry) { return entry.in_use; });
  row.total_count = static_cast<std::int64_t>(usage.build_cache.size());
  return row;
}

/// The prune of one kind knows fewer filters than `system prune`.
Filters only(const Filters& filters, const std::vector<std::string>& keys) {
  std::vector<std::string> texts;
  for (const std::string& key : keys) {
    for (const std::string& value : filters.values(key)) texts.push_back(key + "=" + value);
  }
  return Filters(texts, keys);
}

CachePruneRequest cache_request(const SystemPruneRequest& request) {
  CachePruneRequest cache;
  cache.which = request.all_images ? CachePrune::Everything : CachePrune::Unshared;
  for (const std::string& until : request.filters.values("until")) cache.filters.push_back("until=" + until);
  return cache;
}

void remove_all_containers(Context& context, std::vector<std::string>& done) {
  for (const ContainerRecord& record : context.containers().list()) {
    try {
      remove_container(context, record.id, RemoveForce::Yes, RemoveVolumes::Yes);
      done.push_back("removed container " + record.name);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::NotFound) throw;
    }
  }
}

/// Unmounts whatever is left mounted in a tree, innermost first.
void unmount_below(const fs::path& directory) {
  const std::optional<std::string> table = find_file("/proc/self/mountinfo");
  if (!table) return;
  std::vector<std::string> places;
  for (const std::string& line : split(*table, '\n')) {
    const std::vector<std::string> words = split_words(line);
    if (words.size() > 4 && words[4].starts_with(directory.native() + "/")) places.push_back(words[4]);
  }
  for (auto place = places.rbegin(); place != places.rend(); ++place) {
    ::umount2(place->c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
  }
}

}  // namespace

DiskUsage disk_usage(Context& context) {
  DiskUsage usage;
  usage.images = list_images(context, {});
  ListContainersRequest request;
  request.all = true;
  request.size = true;
  usage.containers = list_containers(context, request);
  for (const Volume& volume : list_volumes(context, {})) {
    usage.volumes.push_back(
        {volume.name, static_cast<std::int64_t>(volume_users(context, volume.name).size()), volume_size(volume)});
  }
  usage.build_cache = build_cache_usage(context);
  usage.rows = {image_row(context, usage), container_row(usage), volume_row(usage), cache_row(usage)};
  return usage;
}

SystemPruneReport prune_system(Context& context, const SystemPruneRequest& request) {
  tidy_dead_containers(context);
  tidy_dead_build_networks(context);
  const Filters& filters = request.filters;
  if (request.volumes && filters.has("until")) {
    throw Error(ErrorKind::Invalid, "The \"until\" filter is not supported with \"--volumes\"");
  }
  SystemPruneReport report;
  const PruneReport containers = prune_containers(context, only(filters, {"until", "label", "label!"}));
  report.containers = containers.deleted;
  report.space_reclaimed += containers.space_reclaimed;
  report.networks = prune_networks(context, only(filters, {"until", "label", "label!"})).deleted;
  if (request.volumes) {
    const PruneReport volumes = prune_volumes(context, only(filters, {"label", "label!"}));
    report.volumes = volumes.deleted;
    report.space_reclaimed += volumes.space_reclaimed;
  }
  CachePruneReport cache;
  if (!filters.has("label") && !filters.has("label!")) cache = prune_build_cache(context, cache_request(request));
  for (const BuildCacheUsage& entry : cache.removed) report.build_cache.push_back(entry.id);
  const ImagePruneReport images = prune_images(context, request.all_images ? PruneWhich::Unused : PruneWhich::Dangling,
                                               only(filters, {"until", "label", "label!"}));
  report.images = images.removed;
  report.space_reclaimed += images.space_reclaimed + cache.space_reclaimed;
  return report;
}

std::vector<std::string> reset_system(Context& context) {
  std::vector<std::string> done;
  remove_all_containers(context, done);
  tidy_dead_build_networks(context);
  remove_shared_cgroups();
  remove_all_networks(context.paths());
  done.emplace_back("removed bridges and the nftables table");
  unmount_below(context.paths().run);
  unmount_below(context.paths().root);
  for (const fs::path& directory : {context.paths().run, context.paths().root}) {
    // The directory itself may be a mount point or belong to somebody else's layout.
    for (const std::string& name : list_directory(directory)) remove_tree(directory / name);
    done.push_back("emptied " + directory.native());
  }
  return done;
}

}  // namespace ctr
