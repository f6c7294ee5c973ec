// Making a container: what was asked for, merged with the image, becomes a record. Nothing runs yet; config.json is
// written at each start, for it depends on that moment.

#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/random.h"
#include "base/text.h"
#include "base/time.h"
#include "base/trace.h"
#include "builder/rootfs_view.h"
#include "engine/container_checks.h"
#include "engine/container_cleanup.h"
#include "engine/container_mounts.h"
#include "engine/container_store.h"
#include "engine/containers.h"
#include "engine/emulation.h"
#include "engine/events.h"
#include "engine/images.h"
#include "engine/keep_id.h"
#include "engine/make_spec.h"
#include "engine/merge_config.h"
#include "engine/mount_mapping.h"
#include "engine/shim_settings.h"
#include "engine/volumes.h"
#include "image/merged_tree.h"
#include "image/rootfs.h"
#include "image/store.h"
#include "runtime/sandbox.h"
#include "runtime/user_session.h"

namespace ctr {
namespace {

constexpr std::size_t kShortIdLength = 12;

/// Takes back what a create made when it fails half way.
class CreateGuard {
 public:
  CreateGuard(Context& context, ContainerRecord& record) : context_(context), record_(record) {}
  ~CreateGuard() {
    if (is_done_) return;
    try {
      for (const MountPoint& mount : record_.mounts) {
        if (mount.anonymous) remove_anonymous_volume(context_, mount.name, record_.id);
      }
      if (!record_.snapshot.empty()) context_.store().snapshots().remove(record_.snapshot);
      context_.containers().remove(record_);
    } catch (const std::exception&) {
      // The error that brought us here is the one to tell; prune finds what is left.
    }
  }
  CreateGuard(const CreateGuard&) = delete;
  CreateGuard& operator=(const CreateGuard&) = delete;

  void finish() { is_done_ = true; }

 private:
  Context& context_;
  ContainerRecord& record_;
  bool is_done_ = false;
};

std::string host_name() {
  char name[256] = {};
  ::gethostname(name, sizeof name - 1);
  return name;
}

void set_defaults(Context& context, ContainerRecord& record) {
  HostConfig& host = record.host;
  if (host.network_mode.empty() || host.network_mode == "default") host.network_mode = "bridge";
  if (record.config.network_disabled) host.network_mode = "none";
  if (host.restart_policy.name.empty()) host.restart_policy.name = "no";
  if (host.shm_size == 0) host.shm_size = 64 * 1024 * 1024;
  if (host.ipc_mode.empty()) host.ipc_mode = "private";
  if (host.console_size.empty()) host.console_size = {0, 0};
  if (host.runtime.empty()) host.runtime = "ctr";
  if (!host.init && context.configuration().default_init == "true") host.init = true;
  if (host.log_config.type.empty()) {
    host.log_config.type = context.configuration().log_driver;
    if (host.log_config.config.empty()) host.log_config.config = context.configuration().log_options;
  }
  if (network_mode_of(host) == NetworkMode::Container) {  // that of the container whose network it is
    const ContainerRecord other = context.containers().get(host.network_mode.substr(std::string("container:").size()));
    record.config.hostname = other.config.hostname;
    record.config.domainname = other.config.domainname;
  }
  if (record.config.hostname.empty()) {
    const bool shares = network_mode_of(host) == NetworkMode::Host || host.uts_mode == "host";
    record.config.hostname = shares ? host_name() : record.id.substr(0, kShortIdLength);
  }
}

/// container:NAME in a mode is kept as container:ID, so that a rename changes nothing.
void resolve_mode(Context& context, std::string& mode) {
  constexpr std::string_view kPrefix = "container:";
  if (!mode.starts_with(kPrefix)) return;
  mode = std::string(kPrefix) + context.containers().resolve(mode.substr(kPrefix.size()));
}

void take_image(Context& context, ContainerRecord& record, const FoundImage& image, Pin& pin) {
  record.image_id = image.id;
  record.manifest_digest = image.image.manifest.digest.str();
  record.target_digest = image.target.digest.str();
  record.platform = image.image.config.platform.str();
  const std::vector<Digest> diff_ids = image.image.diff_ids();
  pin.add(image.target.digest);
  pin.add(image.image.manifest.digest);
  pin.add(image.image.id());
  pin.add(diff_ids);
  for (const Digest& diff_id : diff_ids) record.layers.push_back(diff_id.str());
  record.snapshot = record.id;
  pin.add_snapshot(record.snapshot);
  context.store().snapshots().create(record.snapshot);
  require_containers();
  const Store& store = context.store();
  if (keeps_id(record.host)) {
    merge_layers(store, diff_ids, store.snapshots().upper(record.snapshot), MergedFiles::Copied, keep_id_shift());
  } else if (!can_mount_overlay(store)) {
    merge_layers(store, diff_ids, store.snapshots().upper(record.snapshot), MergedFiles::Copied);
  } else {
    record.shim.root = plan_rootfs(store, diff_ids, record.snapshot);
  }
}

/// Volumes that are still empty get what the image has in their place.
void fill_volumes(Context& context, const ContainerRecord& record, const FoundImage& image) {
  std::optional<Fd> root;
  for (const MountPoint& mount : record.mounts) {
    if (mount.type != "volume" || mount.no_copy || !mount.subpath.empty()) continue;
    mount_volume(context, mount.name);
    if (!list_directory(mount.source).empty()) continue;
    if (!root) root = open_rootfs_view(context.store(), image.image.diff_ids());
    fill_volume(context, mount.name, root->get(), mount.destination);
  }
}

/// `idmap` without a mapping: whom the container runs as is known only now.
void map_mounts(Context& context, ContainerRecord& record, const FoundImage& image) {
  std::optional<std::string> mapping;
  for (MountPoint& mount : record.mounts) {
    if (mount.id_mapping != "idmap") continue;
    if (!mapping) {
      const Fd root = open_rootfs_view(context.store(), image.image.diff_ids());
      mapping = caller_mapping(resolve_user(read_user_database(root.get()), record.config.user, {}));
    }
    mount.id_mapping = *mapping;
  }
}

/// A name may be held by a --rm container whose shim was killed: it goes first.
std::string claim_name(Context& context, const std::string& asked, const std::string& id) {
  if (asked.empty()) return context.containers().claim_generated_name(id);
  const std::string name = asked.starts_with('/') ? asked.substr(1) : asked;
  try {
    context.containers().claim_name(name, id);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Exists) throw;
    tidy_dead_containers(context);
    context.containers().claim_name(name, id);
  }
  return name;
}

}  // namespace

CreatedContainer create_container(Context& context, const CreateRequest& request) {
  const TraceSpan span("create container");
  if (!request.name.empty()) check_container_name(request.name.starts_with('/') ? request.name.substr(1) : request.name);
  CreatedContainer created;
  ContainerRecord record;
  const FoundImage image = get_image(context, request.config.image, request.platform);
  record.config = merge_config(request.config, image.image.config.defaults);
  record.host = request.host;
  record.networking = request.networking;
  created.warnings = check_container(record.config, record.host);
  check_networking(request.config, record.host, record.networking);
  if (network_mode_of(record.host) != NetworkMode::Networks) record.networking = NetworkingConfig();
  const std::vector<std::string> command = command_line(record.config);
  record.path = command.front();
  record.args.assign(command.begin() + 1, command.end());
  record.id = generate_container_id();
  record.created = format_time(now());
  resolve_mode(context, record.host.network_mode);
  resolve_mode(context, record.host.pid_mode);
  resolve_mode(context, record.host.ipc_mode);
  set_defaults(context, record);
  if (const std::string warning = check_platform(image.image.config.platform, request.platform); !warning.empty()) {
    created.warnings.push_back(warning);
  }

  CreateGuard guard(context, record);
  Pin pin = context.store().pin();
  make_directories(context.containers().directory(record.id), 0710);
  const FileLock lock = context.containers().lock(record.id);
  record.name = claim_name(context, request.name, record.id);
  take_image(context, record, image, pin);
  record.mounts = resolve_mounts(context, record.config, record.host);
  map_mounts(context, record, image);
  fill_volumes(context, record, image);
  set_shim_settings(context, record);
  context.containers().save(record, record.host.auto_remove ? RecordDurability::Cached : RecordDurability::Synced);
  guard.finish();
  context.events().append({"container", "create", record.id, event_attributes(record), 0});
  created.id = record.id;
  created.name = record.name;
  return created;
}

}  // namespace ctr
