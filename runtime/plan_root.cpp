// The root file system of a plan: mounts in order, device nodes, links, masked and read-only paths.
#include <algorithm>
#include <array>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/rooted_path.h"
#include "base/text.h"
#include "base/user_namespace.h"
#include "runtime/id_map.h"
#include "runtime/mount_options.h"
#include "runtime/plan_start.h"
#include "runtime/tmp_copy_up.h"

namespace ctr {

namespace {

/// What planning a mount needs to know besides the mount.
struct RootContext {
  PlannedInit& init;
  const Spec& spec;
  int root;
  fs::path bundle;
  const Cgroup* cgroup;
  bool has_user_namespace;
  std::vector<PlannedMount> mounts;
};

bool is_type(const MountSpec& mount, std::string_view type) {
  return mount.type == type;
}

fs::path clean_target(const fs::path& destination) {
  const fs::path target = (fs::path("/") / destination).lexically_normal();
  if (target == "/") throw Error(ErrorKind::Invalid, "a mount cannot replace the root directory");
  return target;
}

void plan_options(PlanArena& arena, const std::vector<std::string>& data, PlannedMount& planned) {
  std::vector<PlannedOption> options;
  for (const std::string& option : data) {
    const auto pair = cut(option, '=');
    options.push_back({arena.text(pair ? pair->first : option), pair ? arena.text(pair->second) : nullptr});
  }
  const PlannedList<PlannedOption> list = arena.list(options);
  planned.options = list.data;
  planned.option_count = list.size;
}

void set_attributes(PlannedMount& planned, const MountOptions& options) {
  planned.set_attributes = options.set;
  planned.clear_attributes = options.clear;
  planned.recursive_set_attributes = options.recursive_set;
  planned.recursive_clear_attributes = options.recursive_clear;
  planned.propagation = options.propagation;
}

/// The mapping of an idmapped mount; the container's own when the mount names none.
Fd mapping_namespace(const RootContext& context, const MountSpec& mount) {
  const bool has_own = !mount.uid_mappings.empty() || !mount.gid_mappings.empty();
  const auto& uids = has_own ? mount.uid_mappings : context.spec.linux.uid_mappings;
  const auto& gids = has_own ? mount.gid_mappings : context.spec.linux.gid_mappings;
  if (uids.empty() || gids.empty()) throw Error(ErrorKind::Invalid, "an idmapped mount has no mapping");
  return make_mapping_namespace(uids, gids);
}

void map_ids(const RootContext& context, const MountSpec& mount, int tree, bool is_recursive) {
  const Fd mapping = mapping_namespace(context, mount);
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_IDMAP;
  attributes.userns_fd = static_cast<std::uint64_t>(mapping.get());
  const unsigned flags = AT_EMPTY_PATH | (is_recursive ? AT_RECURSIVE : 0u);
  check(::mount_setattr(tree, "", flags, &attributes, sizeof attributes), "map the ids of", mount.source);
}

PlannedMount plan_bind(RootContext& context, const MountSpec& mount, const MountOptions& options) {
  PlannedMount planned{};
  planned.kind = MountKind::Bind;
  planned.is_recursive = options.is_recursive_bind;
  fs::path source = mount.source;
  if (source.is_relative()) source = context.bundle / source;
  planned.source = context.init.arena.text(source.native());
  set_attributes(planned, options);
  const bool is_idmapped = options.is_idmapped || !mount.uid_mappings.empty();
  if (is_idmapped || (context.has_user_namespace && own_map_rights() == MapRights::Full)) {
    // The child, a stranger in its user namespace, may reach neither the source nor the right to map it.
    Fd tree = clone_mount(AT_FDCWD, source, options.is_recursive_bind);
    if (is_idmapped) map_ids(context, mount, tree.get(), options.is_recursively_idmapped);
    planned.kind = MountKind::Prepared;
    planned.prepared = context.init.arena.hold(std::move(tree));
    // In its own namespace the child would have been a slave of the host's mounts.
    if (planned.propagation == 0) planned.propagation = MS_SLAVE | MS_REC;
  }
  return planned;
}

/// Options that name ids outside the container's mapping would make the mount fail; the classic is gid=5 of devpts.
bool is_unmapped_id(const RootContext& context, const std::string& option) {
  const auto pair = cut(option, '=');
  if (!pair || (pair->first != "gid" && pair->first != "uid")) return false;
  const auto id = parse_uint(pair->second);
  if (!context.has_user_namespace) {
    if (!id || *id > 0xFFFFFFFFu) return false;
    const auto number = static_cast<std::uint32_t>(*id);
    return pair->first == "gid" ? !is_mapped_group(number) : !is_mapped_user(number);
  }
  const auto& mappings = pair->first == "gid" ? context.spec.linux.gid_mappings : context.spec.linux.uid_mappings;
  return id && !mappings.empty() && *id <= 0xFFFFFFFFu && !map_to_host(mappings, static_cast<std::uint32_t>(*id));
}

PlannedMount plan_file_system(RootContext& context, const MountSpec& mount, MountOptions options) {
  PlannedMount planned{};
  planned.kind = MountKind::FileSystem;
  planned.type = context.init.arena.text(mount.type);
  planned.source = mount.source.empty() ? nullptr : context.init.arena.text(mount.source);
  planned.is_plain_target = is_type(mount, "proc") || is_type(mount, "sysfs");
  planned.is_optional = is_type(mount, "mqueue");
  planned.keeps_mode =
      is_type(mount, "tmpfs") &&
      std::none_of(options.data.begin(), options.data.end(), [](const auto& one) { return one.starts_with("mode="); });
  std::erase_if(options.data, [&](const std::string& option) { return is_unmapped_id(context, option); });
  if (!context.spec.linux.mount_label.empty()) {
    options.data.push_back("context=\"" + context.spec.linux.mount_label + "\"");
  }
  plan_options(context.init.arena, options.data, planned);
  set_attributes(planned, options);
  if (options.copies_up) {
    if (!is_type(mount, "tmpfs")) throw Error(ErrorKind::Invalid, "tmpcopyup is for tmpfs only");
    planned.kind = MountKind::Prepared;
    planned.keeps_mode = false;
    planned.prepared = context.init.arena.hold(make_copied_tmpfs(context.root, mount.destination, options.data));
  }
  return planned;
}

void add_mount(RootContext& context, PlannedMount planned, const fs::path& target) {
  planned.target = context.init.arena.text(clean_target(target).native());
  context.mounts.push_back(planned);
}

/// The container's own part of each v1 hierarchy, on a tmpfs, as programs that read /proc/self/cgroup expect it.
void plan_v1_cgroups(RootContext& context, const MountSpec& mount, const MountOptions& options) {
  MountSpec base;
  base.destination = mount.destination;
  base.type = "tmpfs";
  base.source = "tmpfs";
  MountOptions base_options;
  base_options.set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  base_options.data = {"mode=755"};
  add_mount(context, plan_file_system(context, base, base_options), mount.destination);
  for (const auto& [name, directory] : context.cgroup->v1_directories()) {
    PlannedMount planned{};
    planned.kind = MountKind::Bind;
    planned.source = context.init.arena.text(directory.native());
    set_attributes(planned, options);
    planned.set_attributes |= MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
    add_mount(context, planned, mount.destination / name);
  }
}

void plan_cgroup_mount(RootContext& context, MountSpec mount, const MountOptions& options) {
  const CgroupLayout layout = cgroup_layout();
  if (layout == CgroupLayout::None) return;
  if (layout == CgroupLayout::V2) {
    mount.type = "cgroup2";
    mount.source = "cgroup";
    MountOptions plain = options;
    plain.data.clear();
    add_mount(context, plan_file_system(context, mount, plain), mount.destination);
    return;
  }
  // Without groups of its own, the container would see the host's.
  if (context.cgroup == nullptr) return;
  plan_v1_cgroups(context, mount, options);
}

/// A sysfs shows a network namespace, and only its owner may make one. In somebody else's network the view that is there
/// already stands in.
bool is_foreign_sysfs(const RootContext& context, const MountSpec& mount) {
  if (!is_type(mount, "sysfs")) return false;
  const NamespaceSpec* network = find_namespace(context.spec, NamespaceType::Network);
  if (context.has_user_namespace) return network == nullptr || !network->path.empty();
  return network == nullptr && !is_in_first_user_namespace();
}

void plan_bound_sysfs(RootContext& context, MountSpec mount, const MountOptions& options) {
  mount.source = "/sys";
  MountOptions bound;
  bound.is_recursive_bind = true;
  bound.recursive_set = options.set;
  add_mount(context, plan_bind(context, mount, bound), mount.destination);
}

void plan_mount(RootContext& context, const MountSpec& mount) {
  const MountOptions options = parse_mount_options(mount.options);
  if (is_foreign_sysfs(context, mount)) return plan_bound_sysfs(context, mount, options);
  if (options.is_bind || is_type(mount, "bind"))
    return add_mount(context, plan_bind(context, mount, options), mount.destination);
  if (is_type(mount, "cgroup")) return plan_cgroup_mount(context, mount, options);
  if (mount.type.empty()) throw Error(ErrorKind::Invalid, "the mount has neither a type nor the option bind");
  add_mount(context, plan_file_system(context, mount, options), mount.destination);
}

constexpr std::uint32_t encode_device(std::int64_t major, std::int64_t minor) {
  const auto high = static_cast<std::uint32_t>(major);
  const auto low = static_cast<std::uint32_t>(minor);
  return (low & 0xffu) | high << 8 | (low & ~0xffu) << 12;
}

struct DefaultDevice {
  const char* path;
  std::uint32_t number;
};

constexpr std::array kDefaultDevices = {
    DefaultDevice{"/dev/null", encode_device(1, 3)},    DefaultDevice{"/dev/zero", encode_device(1, 5)},
    DefaultDevice{"/dev/full", encode_device(1, 7)},    DefaultDevice{"/dev/random", encode_device(1, 8)},
    DefaultDevice{"/dev/urandom", encode_device(1, 9)}, DefaultDevice{"/dev/tty", encode_device(5, 0)},
};

constexpr std::array kDefaultLinks = {
    PlannedLink{"/dev/fd", "/proc/self/fd"},       PlannedLink{"/dev/stdin", "/proc/self/fd/0"},
    PlannedLink{"/dev/stdout", "/proc/self/fd/1"}, PlannedLink{"/dev/stderr", "/proc/self/fd/2"},
    PlannedLink{"/dev/ptmx", "pts/ptmx"},          PlannedLink{"/dev/core", "/proc/kcore"},
};

mode_t device_type(char type) {
  if (type == 'b') return S_IFBLK;
  return type == 'p' ? S_IFIFO : S_IFCHR;
}

PlannedDevice plan_device(PlannedInit& init, const DeviceSpec& device) {
  const fs::path path = clean_target(device.path);
  return {init.arena.text(path.native()), (device.file_mode.value_or(0666) & 07777) | device_type(device.type),
          device.type == 'p' ? 0 : encode_device(device.major, device.minor), device.uid.value_or(0),
          device.gid.value_or(0)};
}

/// With a /dev of the host's, everything is there already, and is not ours to change.
bool is_dev_bound(const Spec& spec) {
  return std::any_of(spec.mounts.begin(), spec.mounts.end(), [](const MountSpec& mount) {
    return mount.destination.lexically_normal() == "/dev" &&
           (is_type(mount, "bind") || parse_mount_options(mount.options).is_bind);
  });
}

void plan_devices(PlannedInit& init, const Spec& spec) {
  if (is_dev_bound(spec)) return;
  std::vector<PlannedDevice> devices;
  const auto is_listed = [&](const char* path) {
    return std::any_of(spec.linux.devices.begin(), spec.linux.devices.end(),
                       [&](const DeviceSpec& device) { return clean_target(device.path) == path; });
  };
  for (const DefaultDevice& one : kDefaultDevices) {
    if (!is_listed(one.path)) devices.push_back({one.path, S_IFCHR | 0666, one.number, 0, 0});
  }
  for (const DeviceSpec& device : spec.linux.devices) devices.push_back(plan_device(init, device));
  init.plan.devices = init.arena.list(devices);
  // Not every kernel has the file that the last link names.
  const bool has_core = ::access("/proc/kcore", F_OK) == 0;
  init.plan.links = {kDefaultLinks.data(), has_core ? kDefaultLinks.size() : kDefaultLinks.size() - 1};
}

unsigned long propagation_of(std::string_view name) {
  if (name == "shared") return MS_SHARED;
  if (name == "rshared") return MS_SHARED | MS_REC;
  if (name == "slave") return MS_SLAVE;
  if (name == "rslave") return MS_SLAVE | MS_REC;
  if (name == "private") return MS_PRIVATE;
  if (name == "rprivate") return MS_PRIVATE | MS_REC;
  if (name == "unbindable") return MS_UNBINDABLE;
  if (name == "runbindable") return MS_UNBINDABLE | MS_REC;
  return 0;
}

void plan_propagation(InitPlan& plan, const std::string& name) {
  const unsigned long after = propagation_of(name);
  plan.root_propagation_after = after;
  // The host's tree: by default changes come in and none goes out. What is unbindable could not be bound.
  unsigned long before = after;
  if (before == 0) before = MS_SLAVE;
  if ((before & MS_UNBINDABLE) != 0) before = MS_PRIVATE;
  plan.root_propagation_before = before | MS_REC;
}

PlannedList<const char*> plan_paths(PlannedInit& init, const std::vector<std::string>& paths) {
  std::vector<const char*> planned;
  for (const std::string& path : paths) planned.push_back(init.arena.text(path));
  return init.arena.list(planned);
}

}  // namespace

void plan_root(PlannedInit& init, const Spec& spec, int root, const fs::path& bundle, const Cgroup* cgroup) {
  RootContext context{init, spec, root, bundle, cgroup, find_namespace(spec, NamespaceType::User) != nullptr, {}};
  if (!spec.linux.mount_label.empty() && !path_exists("/sys/fs/selinux/enforce")) {
    throw Error(ErrorKind::Unavailable, "linux.mountLabel is set, but SELinux is not enabled");
  }
  for (std::size_t index = 0; index < spec.mounts.size(); ++index) {
    const MountSpec& mount = spec.mounts[index];
    in_context("mounts[" + std::to_string(index) + "] (" + mount.destination.native() + ")",
               [&] { plan_mount(context, mount); });
  }
  init.plan.mounts = init.arena.list(context.mounts);
  plan_devices(init, spec);
  plan_propagation(init.plan, spec.linux.rootfs_propagation);
  init.plan.is_root_readonly = spec.root.readonly;
  init.plan.masked_paths = plan_paths(init, spec.linux.masked_paths);
  init.plan.readonly_paths = plan_paths(init, spec.linux.readonly_paths);
}

}  // namespace ctr
