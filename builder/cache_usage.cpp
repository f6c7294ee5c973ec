#include "builder/cache_usage.h"

#include <sys/stat.h>

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/lock.h"
#include "base/text.h"
#include "builder/run_mounts.h"
#include "image/garbage.h"
#include "image/trash.h"

namespace ctr {

namespace {

constexpr std::uint64_t kIdLimit = 64 * 1024;

Time change_time(const fs::path& path) {
  struct ::stat info = {};
  if (::stat(path.c_str(), &info) != 0) return {};
  return Time(std::chrono::seconds(info.st_mtim.tv_sec) + std::chrono::nanoseconds(info.st_mtim.tv_nsec));
}

/// Records of one layer (a step has a fast and a slow key, and other steps may yield the same) are one entry.
void add_layers(const BuildCache& cache, std::vector<CacheEntry>& entries) {
  std::map<Digest, CacheEntry> layers;
  for (BuildCache::Usage& usage : cache.list()) {
    CacheEntry& entry = layers[usage.record.layer];
    if (entry.keys.empty()) {
      entry.id = usage.record.layer.hex();
      entry.title = std::move(usage.record.title);
      entry.size = usage.record.size;
      entry.created = usage.record.created;
    }
    entry.created = std::min(entry.created, usage.record.created);
    entry.last_used = std::max(entry.last_used, usage.last_used);
    entry.keys.push_back(usage.key);
  }
  for (auto& [layer, entry] : layers) entries.push_back(std::move(entry));
}

/// Walking a cache mount takes long: its size is kept in a file that is younger than the last use.
std::uint64_t mount_size(const fs::path& directory, bool in_use) {
  const fs::path kept = directory / "size";
  if (!in_use && change_time(kept) > change_time(directory / "id"))
    if (const auto size = parse_uint(find_file(kept, kIdLimit).value_or(""))) return *size;
  const std::uint64_t size = disk_usage(directory / "data");
  if (!in_use) write_file_atomic(kept, std::to_string(size), Durability::Cached);
  return size;
}

void add_mounts(const fs::path& store_root, std::vector<CacheEntry>& entries) {
  const fs::path mounts = cache_mounts_directory(store_root);
  for (const std::string& name : list_directory(mounts)) {
    const fs::path directory = mounts / name;
    const auto id = find_file(directory / "id", kIdLimit);
    if (!id || !path_exists(directory / "data")) continue;
    CacheEntry entry;
    entry.kind = CacheEntry::Kind::Mount;
    entry.id = name;
    entry.title = "cache mount " + *id;
    const auto lock = FileLock::try_acquire(directory / "lock", LockMode::Exclusive);
    entry.in_use = !lock;
    entry.size = mount_size(directory, entry.in_use);
    entry.last_used = change_time(directory / "id");
    entry.created = std::min(change_time(directory / "lock"), entry.last_used);  // nobody ever writes to it
    entries.push_back(std::move(entry));
  }
}

void add_logs(const fs::path& store_root, std::vector<CacheEntry>& entries) {
  const fs::path logs = build_logs_directory(store_root);
  for (const std::string& name : list_directory(logs)) {
    CacheEntry entry;
    entry.kind = CacheEntry::Kind::Log;
    entry.id = name;
    entry.title = "output of build " + name;
    entry.size = disk_usage(logs / name);
    entry.created = entry.last_used = change_time(logs / name);
    entries.push_back(std::move(entry));
  }
}

bool remove_mount(const fs::path& store_root, const std::string& name) {
  const fs::path directory = cache_mounts_directory(store_root) / name;
  const auto lock = FileLock::try_acquire(directory / "lock", LockMode::Exclusive);
  if (!lock) return false;
  // The directory and its lock stay: a step may be waiting for the lock.
  move_to_trash(directory / "data", store_root / "trash");
  remove_tree(directory / "size");
  return true;
}

}  // namespace

fs::path build_logs_directory(const fs::path& store_root) { return store_root / "cache" / "logs"; }

std::vector<CacheEntry> list_cache_entries(const fs::path& store_root, const fs::path& run) {
  std::vector<CacheEntry> entries;
  add_layers(BuildCache(store_root, run), entries);
  add_mounts(store_root, entries);
  add_logs(store_root, entries);
  std::stable_sort(entries.begin(), entries.end(),
                   [](const CacheEntry& left, const CacheEntry& right) { return left.last_used < right.last_used; });
  return entries;
}

bool remove_cache_entry(const fs::path& store_root, const fs::path& run, const CacheEntry& entry) {
  switch (entry.kind) {
    case CacheEntry::Kind::Layer: {
      const BuildCache cache(store_root, run);
      for (const Digest& key : entry.keys) cache.remove(key);
      return true;
    }
    case CacheEntry::Kind::Mount:
      return remove_mount(store_root, entry.id);
    case CacheEntry::Kind::Log:
      return move_to_trash(build_logs_directory(store_root) / entry.id, store_root / "trash");
  }
  return false;
}

void remove_cache_notes(const fs::path& store_root) {
  const fs::path cache = store_root / "cache";
  remove_tree(cache / "builds");
  remove_tree(cache / "contexts");
  for (const std::string& name : list_directory(cache)) {
    if (!name.ends_with(".json") && !name.ends_with(".files")) continue;
    const auto key = Digest::from_hex(name.substr(0, name.rfind('.')));
    if (key && !BuildCache(store_root, store_root).find(*key)) BuildCache(store_root, store_root).remove(*key);
  }
}

}  // namespace ctr
