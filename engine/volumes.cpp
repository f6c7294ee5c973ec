#include "engine/volumes.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/error.h"
#include "base/lock.h"
#include "base/random.h"
#include "base/rooted_path.h"
#include "base/text.h"
#include "base/time.h"
#include "engine/container_state.h"
#include "engine/container_store.h"
#include "engine/events.h"
#include "engine/volume_copy.h"
#include "engine/volume_mount.h"

namespace ctr {
namespace {

// $CTR_ROOT/volumes/<name>/: volume.json, _data/ (the content), filling (while the image's content is copied).
constexpr const char* kRecord = "volume.json";
constexpr const char* kData = "_data";
constexpr const char* kFilling = "filling";
constexpr int kVersion = 1;
constexpr std::size_t kAnonymousNameBytes = 32;
constexpr std::uint64_t kLongestRecord = kMiB;

fs::path volumes_directory(const Context& context) { return context.paths().root / "volumes"; }
fs::path volume_directory(const Context& context, const std::string& name) { return volumes_directory(context) / name; }

FileLock lock_volumes(const Context& context) {
  make_directories(volumes_directory(context), 0711);
  return FileLock::acquire(volumes_directory(context) / ".lock", LockMode::Exclusive);
}

bool is_volume_name(const std::string& name) {
  const auto is_first = [](unsigned char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); };
  const auto is_next = [&](unsigned char c) { return is_first(c) || c == '_' || c == '.' || c == '-'; };
  return !name.empty() && name.size() < 250 && is_first(static_cast<unsigned char>(name.front())) &&
         std::all_of(name.begin(), name.end(), is_next);
}

void check_request(const VolumeRequest& request) {
  if (!request.driver.empty() && request.driver != "local") {
    throw Error(ErrorKind::NotFound, "error looking up volume plugin " + request.driver + ": plugin \"" + request.driver +
                                         "\" not found");
  }
  check_volume_options(request.options);
  if (request.name.empty()) return;
  if (request.name.size() == 1) {
    throw Error(ErrorKind::Invalid,
                "create " + request.name + ": volume name is too short, names should be at least two alphanumeric characters");
  }
  if (!is_volume_name(request.name)) {
    throw Error(ErrorKind::Invalid,
                "create " + request.name + ": \"" + request.name +
                    "\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are "
                    "allowed. If you intended to pass a host directory, use absolute path");
  }
}

Json to_json(const Volume& volume) {
  Json json = Json::object();
  json["v"] = kVersion;
  json["name"] = volume.name;
  json["driver"] = volume.driver;
  json["created"] = volume.created;
  json["options"] = volume.options;
  json["labels"] = volume.labels;
  json["anonymous"] = volume.anonymous;
  return json;
}

Volume volume_from_json(const Json& json) {
  if (json.require_int("v") > kVersion) throw Error(ErrorKind::Unavailable, "volume was made by a newer ctr");
  Volume volume;
  volume.name = json.require_string("name");
  volume.driver = json.string_or("driver", "local");
  volume.created = json.string_or("created");
  volume.options = json.string_map("options");
  volume.labels = json.string_map("labels");
  volume.anonymous = json.bool_or("anonymous");
  return volume;
}

/// Complete under another name, then named: nobody sees half a volume.
Volume make_volume(Context& context, const VolumeRequest& request) {
  Volume volume;
  volume.name = request.name.empty() ? random_hex(kAnonymousNameBytes) : request.name;
  volume.driver = "local";
  volume.created = format_time_seconds(now());
  volume.options = request.options;
  volume.labels = request.labels;
  volume.anonymous = request.anonymous || request.name.empty();
  const fs::path directory = volume_directory(context, volume.name);
  volume.mountpoint = (directory / kData).string();
  const fs::path unnamed = volumes_directory(context) / (".new-" + random_hex(8));
  make_directories(unnamed, 0711);
  try {
    make_directories(unnamed / kData, 0755);
    write_file_atomic(unnamed / kRecord, to_json(volume).dump_pretty() + "\n",
                      volume.anonymous ? Durability::Cached : Durability::Synced);
    check(::rename(unnamed.c_str(), directory.c_str()), "create", directory);
  } catch (const Error&) {
    remove_tree(unnamed);
    throw;
  }
  context.events().append({"volume", "create", volume.name, {{"driver", volume.driver}}, 0});
  return volume;
}

bool uses(const ContainerRecord& record, const std::string& name) {
  return std::any_of(record.mounts.begin(), record.mounts.end(),
                     [&](const MountPoint& mount) { return mount.type == "volume" && mount.name == name; });
}

/// REQUIRES: the volumes' lock.
void delete_volume(Context& context, const Volume& volume) {
  const fs::path directory = volume_directory(context, volume.name);
  if (is_mounted(volume.mountpoint)) check(::umount2(volume.mountpoint.c_str(), MNT_DETACH), "unmount", volume.mountpoint);
  const fs::path unnamed = volumes_directory(context) / (".old-" + random_hex(8));
  check(::rename(directory.c_str(), unnamed.c_str()), "remove", directory);
  context.events().append({"volume", "destroy", volume.name, {{"driver", volume.driver}}, 0});
  remove_tree(unnamed);
}

/// What a process that died while it made or removed volumes left. REQUIRES: the volumes' lock.
void delete_leftovers(Context& context) {
  for (const std::string& name : list_directory(volumes_directory(context))) {
    if (name.starts_with(".new-") || name.starts_with(".old-")) remove_tree(volumes_directory(context) / name);
  }
}

}  // namespace

std::optional<Volume> find_volume(Context& context, const std::string& name) {
  if (!is_volume_name(name)) return std::nullopt;
  const fs::path directory = volume_directory(context, name);
  const std::optional<std::string> text = find_file(directory / kRecord, kLongestRecord);
  if (!text) return std::nullopt;
  Volume volume = in_context("volume " + name, [&] { return volume_from_json(Json::parse(*text)); });
  volume.mountpoint = (directory / kData).string();
  return volume;
}

Volume get_volume(Context& context, const std::string& name) {
  if (std::optional<Volume> volume = find_volume(context, name)) return std::move(*volume);
  throw Error(ErrorKind::NotFound, "get " + name + ": no such volume");
}

Volume ensure_volume(Context& context, const VolumeRequest& request) {
  check_request(request);
  if (!request.name.empty()) {
    if (std::optional<Volume> volume = find_volume(context, request.name)) return std::move(*volume);
  }
  const FileLock lock = lock_volumes(context);
  if (!request.name.empty()) {
    if (std::optional<Volume> volume = find_volume(context, request.name)) return std::move(*volume);
  }
  return make_volume(context, request);
}

Volume create_volume(Context& context, const VolumeRequest& request) {
  const Volume volume = ensure_volume(context, request);
  if (!request.options.empty() && volume.options != request.options) {
    throw Error(ErrorKind::Exists, "create " + volume.name + ": a volume named " + volume.name +
                                       " already exists with other options", EEXIST);
  }
  return volume;
}

void fill_volume(Context& context, const std::string& name, int rootfs, const std::string& path) {
  const Volume volume = get_volume(context, name);
  const fs::path directory = volume_directory(context, name);
  const std::optional<Fd> source = find_in_root(rootfs, path, O_RDONLY | O_DIRECTORY);
  if (!source) return;
  const FileLock lock = FileLock::acquire(directory / ".fill.lock", LockMode::Exclusive);
  // The mark outlives a copier that was killed: half a copy is no content that somebody wanted.
  const bool is_unfinished = path_exists(directory / kFilling);
  if (!is_unfinished && !list_directory(volume.mountpoint).empty()) return;
  write_file_atomic(directory / kFilling, "", Durability::Cached);
  const Fd target = open_directory(volume.mountpoint);
  in_context("copy " + path + " of the image to volume " + name, [&] { copy_directory(source->get(), target.get()); });
  ::unlink((directory / kFilling).c_str());
}

void mount_volume(Context& context, const std::string& name) {
  const Volume volume = get_volume(context, name);
  if (!has_volume_mount(volume.options)) return;
  const FileLock lock = FileLock::acquire(volume_directory(context, name) / ".mount.lock", LockMode::Exclusive);
  if (is_mounted(volume.mountpoint)) return;
  in_context("error while mounting volume '" + volume.mountpoint + "'",
             [&] { mount_volume_options(volume.options, volume.mountpoint); });
  context.events().append({"volume", "mount", name, {{"driver", volume.driver}}, 0});
}

void unmount_idle_volume(Context& context, const std::string& name) {
  const std::optional<Volume> volume = find_volume(context, name);
  if (!volume || !has_volume_mount(volume->options)) return;
  const FileLock lock = FileLock::acquire(volume_directory(context, name) / ".mount.lock", LockMode::Exclusive);
  if (!is_mounted(volume->mountpoint)) return;
  for (const ContainerRecord& record : context.containers().list()) {
    if (uses(record, name) && read_state(context, record).is_running()) return;
  }
  check(::umount2(volume->mountpoint.c_str(), MNT_DETACH), "unmount", volume->mountpoint);
  context.events().append({"volume", "unmount", name, {{"driver", volume->driver}}, 0});
}

std::vector<std::string> volume_users(Context& context, const std::string& name) {
  std::vector<std::string> users;
  for (const ContainerRecord& record : context.containers().list()) {
    if (uses(record, name)) users.push_back(record.id);
  }
  return users;
}

void remove_anonymous_volume(Context& context, const std::string& name, const std::string& container_id) {
  const FileLock lock = lock_volumes(context);
  const std::optional<Volume> volume = find_volume(context, name);
  if (!volume || !volume->anonymous) return;
  for (const std::string& user : volume_users(context, name)) {
    if (user != container_id) return;
  }
  delete_volume(context, *volume);
}

void remove_volume(Context& context, const std::string& name) {
  const FileLock lock = lock_volumes(context);
  const Volume volume = get_volume(context, name);
  const std::vector<std::string> users = volume_users(context, name);
  if (!users.empty()) {
    throw Error(ErrorKind::Busy, "remove " + name + ": volume is in use - [" + join(users, ", ") + "]", EBUSY);
  }
  delete_volume(context, volume);
}

Json inspect_volume(const Volume& volume) {
  Json json = Json::object();
  json["CreatedAt"] = volume.created;
  json["Driver"] = volume.driver;
  json["Labels"] = volume.labels.empty() ? Json() : Json(volume.labels);
  if (volume.anonymous && volume.labels.empty()) json["Labels"]["com.docker.volume.anonymous"] = "";
  json["Mountpoint"] = volume.mountpoint;
  json["Name"] = volume.name;
  json["Options"] = volume.options.empty() ? Json() : Json(volume.options);
  json["Scope"] = "local";
  return json;
}

Filters parse_volume_filters(const std::vector<std::string>& texts) {
  return Filters(texts, {"dangling", "driver", "label", "name"});
}

Filters parse_volume_prune_filters(const std::vector<std::string>& texts) {
  return Filters(texts, {"all", "label", "label!"});
}

std::vector<Volume> list_volumes(Context& context, const Filters& filters) {
  std::vector<std::string> used;
  if (filters.has("dangling")) {
    for (const ContainerRecord& record : context.containers().list()) {
      for (const MountPoint& mount : record.mounts) used.push_back(mount.name);
    }
  }
  std::vector<Volume> volumes;
  for (const std::string& name : list_directory(volumes_directory(context))) {
    std::optional<Volume> volume = find_volume(context, name);
    if (!volume || !filters.matches("driver", volume->driver) || !filters.matches_labels(volume->labels)) continue;
    const std::vector<std::string>& names = filters.values("name");
    const auto has_part = [&](const std::string& part) { return name.find(part) != name.npos; };
    if (!names.empty() && std::none_of(names.begin(), names.end(), has_part)) continue;
    const bool is_used = std::find(used.begin(), used.end(), name) != used.end();
    if (filters.has("dangling") && filters.flag("dangling", false) == is_used) continue;
    volumes.push_back(std::move(*volume));
  }
  return volumes;
}

PruneReport prune_volumes(Context& context, const Filters& filters) {
  PruneReport report;
  const bool all = filters.flag("all", false);
  const FileLock lock = lock_volumes(context);
  delete_leftovers(context);
  for (const Volume& volume : list_volumes(context, Filters())) {
    if ((!all && !volume.anonymous) || !filters.matches_labels(volume.labels)) continue;
    if (!volume_users(context, volume.name).empty()) continue;
    report.space_reclaimed += volume_size(volume);
    delete_volume(context, volume);
    report.deleted.push_back(volume.name);
  }
  return report;
}

std::uint64_t volume_size(const Volume& volume) {
  std::uint64_t bytes = 0;
  std::error_code ignored;
  const auto options = fs::directory_options::skip_permission_denied;
  for (fs::recursive_directory_iterator entry(volume.mountpoint, options, ignored), end; entry != end;
       entry.increment(ignored)) {
    struct stat info {};
    if (::lstat(entry->path().c_str(), &info) == 0) bytes += static_cast<std::uint64_t>(info.st_blocks) * 512;
    if (ignored) break;
  }
  return bytes;
}

}  // namespace ctr
