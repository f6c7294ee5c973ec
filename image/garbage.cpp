#include "image/garbage.h"

#include <algorithm>
#include <fcntl.h>
#include <set>
#include <sys/stat.h>
#include <unistd.h>
#include <unordered_set>
#include <utility>

#include "base/error.h"
#include "base/lock.h"
#include "base/trace.h"
#include "image/image.h"
#include "image/pins.h"
#include "image/rootfs.h"
#include "image/trash.h"

namespace ctr {

namespace {

constexpr std::string_view kParentsPrefix = "parents-";

// What is reached from the roots. Digests of blobs, layers and chains are kept in one set: they don't collide.
class Marker {
 public:
  explicit Marker(const Store& store) : store_(store) {}

  void add(const Digest& digest) { digests_.insert(digest); }
  void add_stack(const std::vector<Digest>& diff_ids) {
    digests_.insert(diff_ids.begin(), diff_ids.end());
    if (!diff_ids.empty()) add(chain_ids(diff_ids).back());
  }

  void add_image(const Descriptor& target) {
    add(target.digest);
    if (!visited_.insert(target.digest).second) return;
    if (!store_.blobs().has(target.digest)) return;
    try {
      const std::string bytes = store_.blobs().read(target.digest, kManifestLimit);
      const ManifestOrIndex parsed = parse_manifest_or_index(bytes, target.media_type);
      if (const auto* index = std::get_if<Index>(&parsed)) {
        for (const Descriptor& child : index->manifests) add_image(child);
      } else {
        add_manifest(std::get<Manifest>(parsed));
      }
    } catch (const Error&) {
      // What can't be read leads nowhere; `system check` reports it.
    }
  }

  bool has(const Digest& digest) const { return digests_.contains(digest); }

 private:
  void add_manifest(const Manifest& manifest) {
    add(manifest.config.digest);
    for (const Descriptor& layer : manifest.layers) add(layer.digest);
    if (!store_.blobs().has(manifest.config.digest)) return;
    add_stack(parse_image_config(store_.blobs().read(manifest.config.digest, kConfigLimit)).diff_ids);
  }

  const Store& store_;
  std::unordered_set<Digest> digests_;
  std::unordered_set<Digest> visited_;  // images that were looked into
};

// Nothing for a layer whose description is damaged.
std::optional<LayerInfo> find_info(const Store& store, const Digest& diff_id) {
  try {
    return store.layers().find(diff_id);
  } catch (const Error&) {
    return std::nullopt;
  }
}

struct Live {
  Marker objects;
  std::set<std::string> snapshots;
};

Live find_live(const Store& store, const std::vector<RootProvider>& providers) {
  Live live{Marker(store), {}};
  GarbageRoots roots;
  for (const RootProvider& provider : providers) provider(roots);
  for (const NamedImage& image : store.images().list()) live.objects.add_image(image.target);
  for (const Descriptor& image : roots.images) live.objects.add_image(image);
  for (const Digest& digest : roots.digests) live.objects.add(digest);
  for (const std::vector<Digest>& stack : roots.stacks) live.objects.add_stack(stack);
  live.snapshots.insert(roots.snapshots.begin(), roots.snapshots.end());
  PinnedObjects pinned = read_pins(store.pins_path());
  for (const Digest& digest : pinned.digests) live.objects.add(digest);
  live.snapshots.merge(pinned.snapshots);
  return live;
}

// What no root leads to.
GarbageReport find_dead(const Store& store, const Live& live) {
  GarbageReport report;
  for (const Digest& digest : store.blobs().list()) {
    if (live.objects.has(digest)) continue;
    report.bytes += store.blobs().find_size(digest).value_or(0);
    report.blobs.push_back(digest);
  }
  for (const Digest& diff_id : store.layers().list()) {
    if (live.objects.has(diff_id)) continue;
    if (const auto info = find_info(store, diff_id)) report.bytes += info->content_size;
    report.layers.push_back(diff_id);
  }
  for (const std::string& id : store.snapshots().list()) {
    if (!live.snapshots.contains(id)) report.snapshots.push_back(id);
  }
  return report;
}

void sweep_blobs(const Store& store, GarbageReport& report) {
  for (const Digest& digest : report.blobs) store.blobs().remove(digest, store.trash_path());
  report.bytes += store.blobs().drop_idle_partials();
}

void sweep_layers(const Store& store, const Marker& live, const GarbageReport& report) {
  for (const Digest& diff_id : report.layers) store.layers().remove(diff_id, store.trash_path());
  for (const std::string& name : list_directory(store.layers().directory())) {
    if (!name.starts_with(kParentsPrefix)) continue;
    const auto chain = Digest::from_hex(std::string_view(name).substr(kParentsPrefix.size()));
    if (chain && !live.has(*chain)) move_to_trash(store.layers().directory() / name, store.trash_path());
  }
  store.layers().remove_abandoned(store.trash_path());
}

void sweep_snapshots(const Store& store, const GarbageReport& report) {
  for (const std::string& id : report.snapshots) store.snapshots().discard(id, store.trash_path());
}

// A repo digest of an image that is gone says nothing any more.
void sweep_repo_digests(const Store& store, const Marker& live) {
  for (const RepoDigest& digest : store.images().repo_digests()) {
    if (!live.has(digest.local)) store.images().forget_repo_digest(digest.name);
  }
}

std::uint64_t usage_of(int parent, const std::string& name, std::set<std::pair<dev_t, ino_t>>& seen) {
  struct stat info = {};
  if (::fstatat(parent, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return 0;
  if (info.st_nlink > 1 && !S_ISDIR(info.st_mode) && !seen.emplace(info.st_dev, info.st_ino).second) return 0;
  std::uint64_t bytes = 0;
  if (!S_ISDIR(info.st_mode)) return static_cast<std::uint64_t>(info.st_blocks) * 512;
  const Fd directory(::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory) return bytes;
  for (const std::string& child : list_directory_fd(directory.get())) bytes += usage_of(directory.get(), child, seen);
  return bytes;
}

}  // namespace

GarbageReport collect_garbage(const Store& store, const std::vector<RootProvider>& providers) {
  GarbageReport report;
  {
    const TraceSpan span("collect garbage");
    const FileLock lock = FileLock::acquire(store.lock_path(), LockMode::Exclusive);
    const Live live = find_live(store, providers);
    report = find_dead(store, live);
    sweep_blobs(store, report);
    sweep_layers(store, live.objects, report);
    sweep_snapshots(store, report);
    sweep_repo_digests(store, live.objects);
  }
  empty_trash(store);
  return report;
}

GarbageReport find_garbage(const Store& store, const std::vector<RootProvider>& providers) {
  const FileLock lock = FileLock::acquire(store.lock_path(), LockMode::Exclusive);
  return find_dead(store, find_live(store, providers));
}

void empty_trash(const Store& store) {
  const TraceSpan span("empty trash");
  if (!path_exists(store.trash_path())) return;
  // One at a time; whoever comes meanwhile leaves its things to the one who is at it, or to the next.
  const std::optional<FileLock> lock = FileLock::try_acquire(store.trash_path() / ".lock", LockMode::Exclusive);
  if (!lock) return;
  for (const std::string& name : list_directory(store.trash_path())) {
    if (name != ".lock") remove_tree(store.trash_path() / name);
  }
}

std::uint64_t disk_usage(const fs::path& path) {
  std::set<std::pair<dev_t, ino_t>> seen;
  return usage_of(AT_FDCWD, path.native(), seen);
}

}  // namespace ctr
