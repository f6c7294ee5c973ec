#include "engine/container_mounts.h"

#include <algorithm>

#include "base/error.h"
#include "base/random.h"
#include "base/text.h"
#include "engine/container_store.h"
#include "engine/mount_mapping.h"
#include "engine/volumes.h"

namespace ctr {
namespace {

constexpr std::size_t kAnonymousNameBytes = 32;

[[noreturn]] void refuse(const std::string& sentence) { throw Error(ErrorKind::Invalid, sentence); }

bool is_propagation(const std::string& word) {
  static const std::vector<std::string> kWords = {"private", "rprivate", "slave", "rslave", "shared", "rshared"};
  return std::find(kWords.begin(), kWords.end(), word) != kWords.end();
}

/// A container path without trailing slashes and dots; Docker refuses relative ones and the root itself.
std::string clean_destination(const std::string& path, const std::string& specification) {
  if (path.empty() || path.front() != '/') {
    refuse("invalid volume specification: '" + specification + "': invalid mount config for type \"bind\": invalid mount path: '" +
           path + "' mount path must be absolute");
  }
  std::string clean = fs::path(path).lexically_normal().native();
  while (clean.size() > 1 && clean.back() == '/') clean.pop_back();
  if (clean == "/") refuse("invalid volume specification: '" + specification + "': invalid specification: destination can't be '/'");
  return clean;
}

/// "idmap" stays so until the container's user is known; of "idmap=…" the mapping is kept.
std::string checked_mapping(const std::string& word) {
  if (word == "idmap") return word;
  std::string mapping = word.substr(std::string("idmap=").size());
  (void)parse_mount_mapping(mapping);
  return mapping;
}

/// Of each kind of word one is enough; what follows another of its kind contradicts it.
void check_mode_kinds(const std::string& mode) {
  static const std::vector<std::vector<std::string>> kKinds = {
      {"ro", "rro", "rw"},
      {"z", "Z"},
      {"consistent", "cached", "delegated", "default"},
      {"nocopy"},
      {"private", "rprivate", "slave", "rslave", "shared", "rshared"}};
  const std::vector<std::string> words = split(mode, ',');
  for (const std::vector<std::string>& kind : kKinds) {
    const auto is_of_kind = [&](const std::string& word) { return std::find(kind.begin(), kind.end(), word) != kind.end(); };
    if (std::count_if(words.begin(), words.end(), is_of_kind) > 1) refuse("invalid mode: " + mode);
  }
}

void apply_mode(const std::string& mode, MountPoint& mount) {
  check_mode_kinds(mode);
  for (const std::string& word : split(mode, ',')) {
    if (word == "ro" || word == "rro") {  // each is recursive where the kernel can do it
      mount.read_write = false;
    } else if (word == "rw" || word == "z" || word == "Z" || word == "consistent" || word == "cached" ||
               word == "delegated" || word == "default" || word.empty()) {
      continue;
    } else if (word == "nocopy" && mount.type == "volume") {
      mount.no_copy = true;
    } else if (is_propagation(word) && mount.type == "bind") {
      mount.propagation = word;
    } else if (word == "idmap" || word.starts_with("idmap=")) {
      mount.id_mapping = checked_mapping(word);
    } else {
      refuse("invalid mode: " + mode);
    }
  }
}

MountPoint named_volume(Context& context, MountPoint mount, const VolumeOptions& options) {
  mount.type = "volume";
  if (mount.name.empty()) {
    mount.name = random_hex(kAnonymousNameBytes);
    mount.anonymous = true;
  }
  VolumeRequest request;
  request.name = mount.name;
  request.driver = options.driver.empty() ? "local" : options.driver;
  request.options = options.driver_options;
  request.labels = options.labels;
  request.anonymous = mount.anonymous;
  const Volume volume = ensure_volume(context, request);
  mount.driver = volume.driver;
  mount.source = volume.mountpoint;
  return mount;
}

void check_mount_request(const MountRequest& request) {
  const std::string prefix = "invalid mount config for type \"" + request.type + "\": ";
  if (request.target.empty()) refuse(prefix + "field Target must not be empty");
  if (request.target.front() != '/') {
    refuse(prefix + "invalid mount path: '" + request.target + "' mount path must be absolute");
  }
  if (fs::path(request.target).lexically_normal() == "/") {
    refuse(prefix + "invalid specification: destination can't be '/'");
  }
  if (request.type == "bind") {
    if (request.source.empty()) refuse(prefix + "field Source must not be empty");
    if (request.source.front() != '/') {
      refuse(prefix + "invalid mount path: '" + request.source + "' mount path must be absolute");
    }
  }
  if (request.type == "tmpfs" && !request.source.empty()) refuse(prefix + "field Source must not be specified");
  if (request.type == "image" && request.source.empty()) refuse(prefix + "field Source must not be empty");
  if (request.type != "bind" && request.type != "volume" && request.type != "tmpfs" && request.type != "image") {
    refuse("invalid mount config for type \"" + request.type + "\": mount type unknown");
  }
}

std::string tmpfs_words(const MountRequest& request) {
  std::string words;
  if (!request.tmpfs_options) return words;
  if (request.tmpfs_options->size_bytes > 0) words = "size=" + std::to_string(request.tmpfs_options->size_bytes);
  if (request.tmpfs_options->mode > 0) {
    char mode[32];
    std::snprintf(mode, sizeof mode, "mode=%llo", static_cast<unsigned long long>(request.tmpfs_options->mode));
    words += (words.empty() ? "" : ",") + std::string(mode);
  }
  for (const StringList& option : request.tmpfs_options->options) words += (words.empty() ? "" : ",") + join(option, "=");
  return words;
}

MountPoint bind_of(const MountRequest& request, MountPoint mount) {
  const BindOptions options = request.bind_options.value_or(BindOptions{});
  mount.source = request.source;
  mount.propagation = options.propagation.empty() ? "rprivate" : options.propagation;
  if (!is_propagation(mount.propagation)) {
    refuse("invalid mount config for type \"bind\": invalid propagation mode: " + options.propagation);
  }
  mount.non_recursive = options.non_recursive;
  mount.recursive_read_only = request.read_only && !options.read_only_non_recursive;
  if (options.read_only_force_recursive && !can_change_mount_trees()) {
    refuse("invalid mount config for type \"bind\": recursively read-only mounts need Linux 5.12");
  }
  if (path_exists(request.source)) return mount;
  if (!options.create_mountpoint) {
    refuse("invalid mount config for type \"bind\": bind source path does not exist: " + request.source);
  }
  make_directories(request.source);
  return mount;
}

MountPoint mount_of(Context& context, const MountRequest& request) {
  check_mount_request(request);
  MountPoint mount;
  mount.type = request.type;
  mount.destination = clean_destination(request.target, request.target);
  mount.read_write = !request.read_only;
  if (!request.id_mapping.empty()) {
    if (request.type != "bind" && request.type != "volume") refuse("idmap is for bind mounts and volumes, not for type " + request.type);
    mount.id_mapping = checked_mapping(request.id_mapping);
  }
  if (request.type == "bind") return bind_of(request, std::move(mount));
  if (request.type == "volume") {
    const VolumeOptions options = request.volume_options.value_or(VolumeOptions{});
    mount.name = request.source;
    mount.no_copy = options.no_copy;
    mount.subpath = options.subpath;
    mount.mode = "z";
    return named_volume(context, std::move(mount), options);
  }
  if (request.type == "tmpfs") {
    mount.tmpfs_options = tmpfs_words(request);
    return mount;
  }
  mount.source = request.source;
  mount.read_write = false;
  if (request.image_options) mount.subpath = request.image_options->subpath;
  return mount;
}

/// --volumes-from container[:ro|rw]
std::vector<MountPoint> inherited(Context& context, const std::string& text) {
  const auto parts = cut(text, ':');
  if (parts && parts->second != "ro" && parts->second != "rw") refuse("invalid mode: " + parts->second);
  std::vector<MountPoint> mounts = context.containers().get(parts ? parts->first : text).mounts;
  std::erase_if(mounts, [](const MountPoint& mount) { return mount.type == "tmpfs"; });
  for (MountPoint& mount : mounts) {
    if (parts && parts->second == "ro") mount.read_write = false;
    mount.anonymous = false;  // it is the other container's to remove
  }
  return mounts;
}

bool has_destination(const std::vector<MountPoint>& mounts, const std::string& destination) {
  return std::any_of(mounts.begin(), mounts.end(),
                     [&](const MountPoint& mount) { return mount.destination == destination; });
}

void add_asked(std::vector<MountPoint>& mounts, std::size_t inherited_count, MountPoint mount) {
  const auto begin = mounts.begin() + static_cast<std::ptrdiff_t>(inherited_count);
  if (std::any_of(begin, mounts.end(), [&](const MountPoint& other) { return other.destination == mount.destination; })) {
    refuse("Duplicate mount point: " + mount.destination);
  }
  mounts.push_back(std::move(mount));
}

}  // namespace

MountPoint parse_bind(const std::string& text) {
  const std::vector<std::string> parts = split(text, ':');
  if (parts.size() < 2 || parts.size() > 3 || parts[0].empty()) {
    refuse("invalid volume specification: '" + text + "'");
  }
  MountPoint mount;
  mount.destination = clean_destination(parts[1], text);
  mount.type = parts[0].front() == '/' ? "bind" : "volume";
  if (mount.type == "bind") {
    mount.source = fs::path(parts[0]).lexically_normal().native();
    while (mount.source.size() > 1 && mount.source.back() == '/') mount.source.pop_back();
    mount.propagation = "rprivate";
  } else {
    mount.name = parts[0];
    mount.mode = "z";
  }
  if (parts.size() == 3) {
    apply_mode(parts[2], mount);
    mount.mode = parts[2];
  }
  mount.recursive_read_only = mount.type == "bind" && !mount.read_write;
  return mount;
}

std::vector<MountPoint> resolve_mounts(Context& context, const ContainerConfig& config, const HostConfig& host) {
  std::vector<MountPoint> mounts;
  for (const std::string& text : host.volumes_from) {
    for (MountPoint& mount : inherited(context, text)) {
      if (!has_destination(mounts, mount.destination)) mounts.push_back(std::move(mount));
    }
  }
  const std::size_t inherited_count = mounts.size();
  for (const std::string& text : host.binds) {
    MountPoint mount = parse_bind(text);
    if (mount.type == "volume") mount = named_volume(context, std::move(mount), {});
    add_asked(mounts, inherited_count, std::move(mount));
  }
  for (const MountRequest& request : host.mounts) add_asked(mounts, inherited_count, mount_of(context, request));
  for (const auto& [path, options] : host.tmpfs) {
    const std::string destination = clean_destination(path, path);
    if (has_destination(mounts, destination)) refuse("Duplicate mount point: " + destination);
  }
  // What was asked for covers what another container lends.
  for (std::size_t i = inherited_count; i-- > 0;) {
    const std::string& destination = mounts[i].destination;
    const auto asked = mounts.begin() + static_cast<std::ptrdiff_t>(inherited_count);
    if (std::any_of(asked, mounts.end(), [&](const MountPoint& m) { return m.destination == destination; })) {
      mounts[i].type.clear();
    }
  }
  std::erase_if(mounts, [](const MountPoint& mount) { return mount.type.empty(); });
  for (const std::string& path : config.volumes) {
    MountPoint mount;
    mount.destination = clean_destination(path, path);
    if (has_destination(mounts, mount.destination) || host.tmpfs.contains(mount.destination)) continue;
    mounts.push_back(named_volume(context, std::move(mount), {}));
  }
  return mounts;
}

Json mounts_document(const ContainerRecord& record) {
  Json document = Json::array();
  for (const MountPoint& mount : record.mounts) {
    Json json = Json::object();
    json["Type"] = mount.type;
    if (!mount.name.empty()) json["Name"] = mount.name;
    json["Source"] = mount.source;
    json["Destination"] = mount.destination;
    if (!mount.driver.empty()) json["Driver"] = mount.driver;
    json["Mode"] = mount.mode;
    json["RW"] = mount.read_write;
    json["Propagation"] = mount.propagation;
    document.push_back(std::move(json));
  }
  return document;
}

}  // namespace ctr
