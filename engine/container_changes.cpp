// What a container changed in its root filesystem: `diff` lists it, `commit` makes a layer of it. The places that the
// runtime itself made there (mount points, /etc/hosts…) are not the container's doing and are left out.

#include <set>

#include "base/error.h"
#include "base/text.h"
#include "base/time.h"
#include "engine/container_files.h"
#include "engine/container_store.h"
#include "engine/containers.h"
#include "engine/events.h"
#include "engine/container_root.h"
#include "engine/image_names.h"
#include "engine/images.h"
#include "engine/make_spec.h"
#include "image/entry_sources.h"
#include "image/layer_stack.h"
#include "image/store.h"

namespace ctr {
namespace {

/// Paths that a start may create, as Entry spells them.
bool is_made_by_runtime(const std::string& path) {
  static const std::set<std::string> kPaths = {
      ".dockerenv", "dev",          "dev/console", "dev/pts",         "dev/shm",         "dev/mqueue",
      "proc",       "sys",          "etc",         "etc/hosts",       "etc/hostname",    "etc/resolv.conf",
      "sbin",       "etc/mtab",     std::string(kInitInContainer).substr(1), "sys/fs", "sys/fs/cgroup"};
  return kPaths.contains(path);
}

bool is_parent_only(const std::string& path) { return path == "etc" || path == "sbin"; }

/// The entries of an upper directory that the container is responsible for.
class ChangeFilter {
 public:
  ChangeFilter(const fs::path& upper, const LayerStack& lower) {
    const Fd directory = open_directory(upper);
    DirectorySource source(directory.get(), TreeKind::OverlayUpper, overlay_xattrs_of_this_process());
    std::map<std::string, int> visible_children;
    std::vector<std::string> candidates;
    while (const std::optional<Entry> entry = source.next()) {
      if (entry->path.empty()) continue;
      const bool is_candidate = is_made_by_runtime(entry->path) && is_empty_place(*entry) &&
                                (is_parent_only(entry->path) || !lower.find(entry->path));
      if (is_candidate) {
        candidates.push_back(entry->path);
      } else {
        ++visible_children[std::string(parent_path(entry->path))];
      }
    }
    for (auto path = candidates.rbegin(); path != candidates.rend(); ++path) {
      if (visible_children[*path] == 0) {
        hidden_.insert(*path);
      } else {
        ++visible_children[std::string(parent_path(*path))];
      }
    }
  }

  bool hides(const Entry& entry) const { return entry.path.empty() || hidden_.contains(entry.path); }

 private:
  static bool is_empty_place(const Entry& entry) {
    return entry.type == EntryType::Directory || (entry.type == EntryType::File && entry.size == 0);
  }

  std::set<std::string> hidden_;
};

void require_overlay(const ContainerRecord& record) {
  if (record.shim.root) return;
  throw Error(ErrorKind::Unavailable, "container " + record.id + " runs on a copy of its image, not on an overlay: what it "
                                      "changed can't be told (ctr export has all of it)");
}

LayerInfo write_changes(Context& context, const ContainerRecord& record) {
  const Store& store = context.store();
  const fs::path upper = store.snapshots().upper(record.snapshot);
  const ChangeFilter filter(upper, LayerStack(store.layers(), layer_ids(record)));
  const Fd directory = open_directory(upper);
  DirectorySource source(directory.get(), TreeKind::OverlayUpper, overlay_xattrs_of_this_process());
  CanonicalLayerWriter writer(store.layers().create());
  while (const std::optional<Entry> entry = source.next()) {
    if (!filter.hides(*entry)) writer.add(*entry, source);
  }
  return writer.commit();
}

ContainerDefaults defaults_of(const ContainerConfig& config) {
  ContainerDefaults defaults;
  defaults.user = config.user;
  defaults.exposed_ports.insert(config.exposed_ports.begin(), config.exposed_ports.end());
  defaults.env = config.env;
  defaults.entrypoint = config.entrypoint;
  defaults.cmd = config.cmd;
  defaults.volumes.insert(config.volumes.begin(), config.volumes.end());
  defaults.working_dir = config.working_dir;
  defaults.labels = config.labels;
  defaults.stop_signal = config.stop_signal;
  if (!config.shell.empty()) defaults.shell = config.shell;
  defaults.on_build = config.on_build;
  if (config.healthcheck) {
    Healthcheck health;
    health.test = config.healthcheck->test;
    health.interval = std::chrono::nanoseconds(config.healthcheck->interval_ns);
    health.timeout = std::chrono::nanoseconds(config.healthcheck->timeout_ns);
    health.start_period = std::chrono::nanoseconds(config.healthcheck->start_period_ns);
    health.start_interval = std::chrono::nanoseconds(config.healthcheck->start_interval_ns);
    health.retries = static_cast<int>(config.healthcheck->retries);
    defaults.healthcheck = health;
  }
  return defaults;
}

ImageConfig committed_config(const ContainerRecord& record, ImageConfig config, const CommitRequest& request,
                             const LayerInfo& layer) {
  config.created = format_time(now());
  config.author = request.author;
  config.defaults = defaults_of(record.config);
  apply_changes(config, request.changes);
  config.diff_ids.push_back(layer.identity.diff_id);
  History entry;
  entry.created = config.created;
  entry.created_by = record.path;
  for (const std::string& argument : record.args) entry.created_by += " " + argument;
  entry.author = request.author;
  entry.comment = request.comment;
  config.history.push_back(std::move(entry));
  return config;
}

/// Stops the container for the time of a commit.
class PauseGuard {
 public:
  PauseGuard(Context& context, const ContainerRecord& record, bool wanted) : context_(context), id_(record.id) {
    if (!wanted || read_state(context, record).status != ContainerStatus::Running) return;
    pause_container(context, id_);
    is_paused_ = true;
  }
  ~PauseGuard() {
    if (!is_paused_) return;
    try {
      unpause_container(context_, id_);
    } catch (const std::exception&) {
      // It has ended meanwhile.
    }
  }
  PauseGuard(const PauseGuard&) = delete;
  PauseGuard& operator=(const PauseGuard&) = delete;

 private:
  Context& context_;
  std::string id_;
  bool is_paused_ = false;
};

}  // namespace

std::vector<FilesystemChange> diff_container(Context& context, const std::string& container) {
  const ContainerRecord record = context.containers().get(container);
  require_overlay(record);
  const fs::path upper = context.store().snapshots().upper(record.snapshot);
  const LayerStack lower(context.store().layers(), layer_ids(record));
  const ChangeFilter filter(upper, lower);
  const Fd directory = open_directory(upper);
  DirectorySource source(directory.get(), TreeKind::OverlayUpper, overlay_xattrs_of_this_process());
  std::vector<FilesystemChange> changes;
  while (const std::optional<Entry> entry = source.next()) {
    if (filter.hides(*entry) || entry->type == EntryType::Opaque) continue;
    ChangeKind kind = ChangeKind::Added;
    if (entry->type == EntryType::Whiteout) {
      kind = ChangeKind::Deleted;
    } else if (lower.find(entry->path)) {
      kind = ChangeKind::Modified;
    }
    changes.push_back({"/" + entry->path, kind});
  }
  return changes;
}

std::string commit_container(Context& context, const CommitRequest& request) {
  const ContainerRecord record = context.containers().get(request.container);
  if (!request.repository.empty()) Reference::parse(request.repository);
  require_overlay(record);
  const std::optional<FoundImage> image = find_image(context, record.image_id, std::nullopt);
  if (!image) throw Error(ErrorKind::NotFound, "the container's image " + record.image_id + " is no longer in the store");
  Pin pin = context.store().pin();
  pin.add(image->image.diff_ids());
  const LayerInfo layer = [&] {
    const PauseGuard pause(context, record, request.pause);
    return write_changes(context, record);
  }();
  pin.add(layer.identity.diff_id);
  const ImageConfig config = committed_config(record, image->image.config, request, layer);
  std::vector<Descriptor> layers;
  for (const Layer& below : image->image.layers) layers.push_back(below.blob);
  layers.push_back(uncompressed_blob(layer.identity.diff_id, layer.identity.tar_size));
  const Descriptor target = write_image(context.store(), pin, config, layers);
  pin.add(target.digest);
  name_new_image(context, target, request.repository);
  const std::string id = Digest::of(serialise_image_config(config)).str();
  context.events().append(
      {"container", "commit", record.id, {{"comment", request.comment}, {"imageID", id}, {"name", record.name}}, 0});
  return id;
}

}  // namespace ctr
