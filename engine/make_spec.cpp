#include "engine/make_spec.h"

#include <algorithm>

#include "base/text.h"
#include "base/user_namespace.h"
#include "builder/emulators.h"
#include "engine/keep_id.h"
#include "engine/merge_config.h"
#include "engine/security_options.h"
#include "engine/spec_resources.h"
#include "runtime/capabilities.h"
#include "runtime/sandbox.h"
#include "runtime/spec_defaults.h"

namespace ctr {
namespace {

constexpr std::int64_t kDefaultShmSize = 64 * 1024 * 1024;

void remove_namespace(Spec& spec, NamespaceType type) {
  std::erase_if(spec.linux.namespaces, [&](const NamespaceSpec& space) { return space.type == type; });
}

void join_namespace(Spec& spec, NamespaceType type, const fs::path& path) {
  remove_namespace(spec, type);
  spec.linux.namespaces.push_back({type, path});
}

bool joins_container(const std::string& mode) { return mode.starts_with("container:"); }

void set_namespaces(Spec& spec, const ContainerRecord& record, const SpecInputs& inputs) {
  const HostConfig& host = record.host;
  spec.linux.namespaces = default_namespaces();
  if (host.network_mode == "host") remove_namespace(spec, NamespaceType::Network);
  if (inputs.network_namespace) join_namespace(spec, NamespaceType::Network, *inputs.network_namespace);
  if (host.pid_mode == "host") remove_namespace(spec, NamespaceType::Pid);
  if (inputs.pid_namespace) join_namespace(spec, NamespaceType::Pid, *inputs.pid_namespace);
  if (host.ipc_mode == "host") remove_namespace(spec, NamespaceType::Ipc);
  if (inputs.ipc_namespace) join_namespace(spec, NamespaceType::Ipc, *inputs.ipc_namespace);
  if (host.uts_mode == "host") remove_namespace(spec, NamespaceType::Uts);
  if (host.cgroupns_mode == "host") remove_namespace(spec, NamespaceType::Cgroup);
  if (host.cgroupns_mode == "private" && find_namespace(spec, NamespaceType::Cgroup) == nullptr) {
    spec.linux.namespaces.push_back({NamespaceType::Cgroup, {}});
  }
  // A process that joins another pid namespace can't have a time namespace of its own making there.
  if (inputs.pid_namespace || host.pid_mode == "host") remove_namespace(spec, NamespaceType::Time);
}

MountSpec bind_mount(const fs::path& source, const fs::path& destination, std::vector<std::string> options) {
  MountSpec mount;
  mount.source = source;
  mount.destination = destination;
  mount.type = "bind";
  mount.options = std::move(options);
  return mount;
}

bool covers(const std::vector<MountSpec>& mounts, const fs::path& destination) {
  return std::any_of(mounts.begin(), mounts.end(),
                     [&](const MountSpec& mount) { return mount.destination == destination; });
}

void add_tmpfs(std::vector<MountSpec>& mounts, const std::string& destination, const std::string& words) {
  MountSpec mount;
  mount.destination = destination;
  mount.type = "tmpfs";
  mount.source = "tmpfs";
  mount.options = {"noexec", "nosuid", "nodev"};
  for (const std::string& word : split(words, ',')) {
    if (word.empty()) continue;
    if (word == "exec" || word == "suid" || word == "dev") std::erase(mount.options, "no" + word);
    mount.options.push_back(word);
  }
  mounts.push_back(std::move(mount));
}

void set_shm(std::vector<MountSpec>& defaults, const ContainerRecord& record, const SpecInputs& inputs) {
  const std::string& mode = record.host.ipc_mode;
  const auto shm = std::find_if(defaults.begin(), defaults.end(),
                                [](const MountSpec& mount) { return mount.destination == "/dev/shm"; });
  if (shm == defaults.end()) return;
  if (mode == "none") {
    defaults.erase(shm);
  } else if (mode == "host") {
    *shm = bind_mount("/dev/shm", "/dev/shm", {"rbind", "rprivate"});
  } else if (!inputs.shm_source.empty()) {
    *shm = bind_mount(inputs.shm_source, "/dev/shm", {"rbind", "rprivate"});
  }
}

std::size_t depth(const fs::path& path) { return static_cast<std::size_t>(std::distance(path.begin(), path.end())); }

void set_mounts(Spec& spec, const ContainerRecord& record, const SpecInputs& inputs) {
  std::vector<MountSpec> asked = inputs.mounts;
  for (const auto& [destination, words] : record.host.tmpfs) add_tmpfs(asked, destination, words);
  std::stable_sort(asked.begin(), asked.end(), [](const MountSpec& left, const MountSpec& right) {
    return depth(left.destination) < depth(right.destination);
  });
  std::vector<MountSpec> mounts =
      default_mounts(record.host.shm_size > 0 ? record.host.shm_size : kDefaultShmSize);
  set_shm(mounts, record, inputs);
  if (!inputs.etc_directory.empty()) {
    for (const char* name : {"resolv.conf", "hostname", "hosts"}) {
      mounts.push_back(bind_mount(inputs.etc_directory / name, fs::path("/etc") / name, {"rbind", "rprivate"}));
    }
  }
  std::erase_if(mounts, [&](const MountSpec& mount) { return covers(asked, mount.destination); });
  if (!inputs.init_program.empty()) {
    mounts.push_back(bind_mount(inputs.init_program, kInitInContainer, {"bind", "ro"}));
  }
  mounts.insert(mounts.end(), std::make_move_iterator(asked.begin()), std::make_move_iterator(asked.end()));
  spec.mounts = std::move(mounts);
}

void set_propagation(Spec& spec) {
  const auto has = [&](const char* word) {
    return std::any_of(spec.mounts.begin(), spec.mounts.end(), [&](const MountSpec& mount) {
      return std::find(mount.options.begin(), mount.options.end(), word) != mount.options.end();
    });
  };
  if (has("shared") || has("rshared")) {
    spec.linux.rootfs_propagation = "shared";
  } else if (has("slave") || has("rslave")) {
    spec.linux.rootfs_propagation = "slave";
  }
}

void set_process(Spec& spec, const ContainerRecord& record, const SpecInputs& inputs) {
  const ContainerConfig& config = record.config;
  const SecurityOptions security = parse_security_options(record.host);
  ProcessSpec process;
  process.terminal = config.tty;
  if (!inputs.init_program.empty()) process.args = {kInitInContainer, "--"};
  process.args.push_back(record.path);
  process.args.insert(process.args.end(), record.args.begin(), record.args.end());
  process.env = process_environment(config);
  process.cwd = config.working_dir.empty() ? "/" : config.working_dir;
  process.capabilities = docker_capability_sets(container_capabilities(record.host));
  process.rlimits = make_rlimits(record.host.ulimits, inputs.default_ulimits);
  process.no_new_privileges = security.no_new_privileges;
  process.apparmor_profile = security.apparmor_profile;
  process.selinux_label = security.selinux_label;
  if (record.host.oom_score_adj != 0) process.oom_score_adj = static_cast<int>(record.host.oom_score_adj);
  if (record.host.console_size.size() == 2 && record.host.console_size[0] > 0) {
    process.console_size = ConsoleSize{static_cast<std::uint16_t>(record.host.console_size[0]),
                                       static_cast<std::uint16_t>(record.host.console_size[1])};
  }
  spec.process = std::move(process);
  spec.annotations = record.host.annotations;
  spec.annotations[std::string(kUserAnnotation)] = config.user;
  if (!record.host.group_add.empty()) {
    spec.annotations[std::string(kGroupsAnnotation)] = join(record.host.group_add, ",");
  }
}

/// The kernel takes no group that the user namespace lacks.
std::uint32_t highest_group() {
  constexpr std::uint32_t kHighest = 2147483647;
  std::uint32_t highest = 0;
  for (const IdMapLine& line : own_group_map()) {
    const std::uint64_t last = std::uint64_t{line.inside} + line.count - 1;
    highest = std::max(highest, static_cast<std::uint32_t>(std::min<std::uint64_t>(last, kHighest)));
  }
  return highest;
}

void set_sysctls(Spec& spec, const HostConfig& host) {
  if (network_mode_of(host) != NetworkMode::Host && network_mode_of(host) != NetworkMode::Container) {
    spec.linux.sysctl["net.ipv4.ip_unprivileged_port_start"] = "0";
    spec.linux.sysctl["net.ipv4.ping_group_range"] = "0 " + std::to_string(highest_group());
  }
  for (const auto& [name, value] : host.sysctls) spec.linux.sysctl[name] = value;
}

void set_system_paths(Spec& spec, const HostConfig& host) {
  if (parse_security_options(host).unconfined_system_paths) return;
  spec.linux.masked_paths = host.masked_paths ? *host.masked_paths : default_masked_paths();
  spec.linux.readonly_paths = host.readonly_paths ? *host.readonly_paths : default_readonly_paths();
}

}  // namespace

NetworkMode network_mode_of(const HostConfig& host) {
  if (host.network_mode == "none") return NetworkMode::None;
  if (host.network_mode == "host") return NetworkMode::Host;
  if (joins_container(host.network_mode)) return NetworkMode::Container;
  return NetworkMode::Networks;
}

Spec make_spec(const ContainerRecord& record, const SpecInputs& inputs) {
  Spec spec;
  spec.root.path = "rootfs";
  spec.root.readonly = record.host.readonly_rootfs;
  if (record.host.uts_mode != "host") {
    spec.hostname = record.config.hostname;
    spec.domainname = record.config.domainname;
  }
  set_namespaces(spec, record, inputs);
  set_process(spec, record, inputs);
  set_mounts(spec, record, inputs);
  set_propagation(spec);
  set_sysctls(spec, record.host);
  set_system_paths(spec, record.host);
  spec.linux.resources = make_limits(record.host);
  spec.linux.resources.devices = default_device_rules();
  spec.linux.cgroups_path = record.cgroup_path + "/payload";
  if (record.host.privileged) {
    make_privileged(spec);
  }
  add_devices(spec, record.host);
  if (keeps_id(record.host)) apply_keep_id(spec, record);
  if (inputs.emulator_namespace) enter_emulation(spec, *inputs.emulator_namespace);
  return spec;
}

}  // namespace ctr
