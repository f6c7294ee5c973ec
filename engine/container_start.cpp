// Starting a container: network, mounts, filter and spec are made by us, and the shim takes it from there.

#include <fcntl.h>
#include <sys/mount.h>

#include "base/error.h"
#include "base/mount.h"
#include "base/process.h"
#include "base/trace.h"
#include "engine/container_cleanup.h"
#include "engine/container_mounts.h"
#include "engine/container_network.h"
#include "engine/container_root.h"
#include "engine/container_store.h"
#include "engine/containers.h"
#include "engine/emulation.h"
#include "engine/make_spec.h"
#include "engine/security_options.h"
#include "image/rootfs.h"
#include "image/store.h"
#include "runtime/bridge_namespace.h"
#include "runtime/bundle.h"
#include "runtime/user_session.h"

namespace ctr {
namespace {

/// The namespace of another container, for --pid and --ipc container:ID.
std::optional<fs::path> joined_namespace(Context& context, const std::string& mode, const char* kind) {
  constexpr std::string_view kPrefix = "container:";
  if (!mode.starts_with(kPrefix)) return std::nullopt;
  const ContainerRecord other = context.containers().get(mode.substr(kPrefix.size()));
  const ContainerState state = read_state(context, other);
  if (state.status != ContainerStatus::Running && state.status != ContainerStatus::Paused) {
    throw Error(ErrorKind::Busy, "cannot join " + std::string(kind) + " namespace of a non running container: " + other.id);
  }
  return fs::path("/proc/" + std::to_string(state.pid) + "/ns/" + kind);
}

/// A /dev/shm that others may join has to be mounted where they can bind it from.
fs::path shared_shm(Context& context, const ContainerRecord& record) {
  constexpr std::string_view kPrefix = "container:";
  const std::string& mode = record.host.ipc_mode;
  if (mode.starts_with(kPrefix)) {
    const fs::path shm = context.containers().run_directory(mode.substr(kPrefix.size())) / "shm";
    if (path_exists(shm)) return shm;
    throw Error(ErrorKind::Invalid, "cannot join IPC of a container whose IPC mode is not shareable: " +
                                        mode.substr(kPrefix.size()));
  }
  if (mode != "shareable") return {};
  const fs::path shm = context.containers().run_directory(record.id) / "shm";
  make_directories(shm, 01777);
  const Fd mount = mount_detached("tmpfs", {"size=" + std::to_string(record.host.shm_size), "mode=1777"});
  attach_mount(mount.get(), shm);
  return shm;
}

/// Everything that a start makes before the shim takes over; taken back if the start fails.
class StartGuard {
 public:
  StartGuard(Context& context, const ContainerRecord& record) : context_(context), record_(record) {}
  ~StartGuard() {
    if (is_done_) return;
    try {
      tidy_run(context_, record_);
      if (record_.host.auto_remove) remove_stopped(context_, record_, RemoveVolumes::Yes);
    } catch (const std::exception&) {
      // The error that brought us here is the one to tell; the next command tidies again.
    }
  }
  StartGuard(const StartGuard&) = delete;
  StartGuard& operator=(const StartGuard&) = delete;

  void finish() { is_done_ = true; }

 private:
  Context& context_;
  const ContainerRecord& record_;
  bool is_done_ = false;
};

void write_bundle(Context& context, ContainerRecord& record, const PreparedNetwork& network) {
  const TraceSpan span("write bundle");
  SpecInputs inputs;
  inputs.etc_directory = network.etc_directory;
  inputs.network_namespace = network.network_namespace;
  inputs.pid_namespace = joined_namespace(context, record.host.pid_mode, "pid");
  inputs.ipc_namespace = joined_namespace(context, record.host.ipc_mode, "ipc");
  inputs.shm_source = shared_shm(context, record);
  if (!record.platform.empty())
    inputs.emulator_namespace = pin_emulation(parse_platform(record.platform), host_registration(context.configuration()),
                                              context.containers().run_directory(record.id) / kEmulationDirectory);
  if (record.host.init.value_or(false)) inputs.init_program = own_companion("ctr-init");
  inputs.mounts = prepare_mounts(context, record);
  inputs.default_ulimits = context.configuration().default_ulimits;
  record.shim.seccomp_filter = seccomp_filter_file(context.paths(), record.host);
  Bundle bundle;
  bundle.path = context.containers().directory(record.id);
  bundle.spec = make_spec(record, inputs);
  // A root filesystem that is a copy: where no overlay can be mounted, or owners are shifted.
  if (!record.shim.root) bundle.spec.root.path = context.store().snapshots().upper(record.snapshot);
  save_bundle(bundle, Durability::Cached);
}

/// The end of the run before moves into the record, so that exit.json only ever tells of the last run.
void begin_run(Context& context, ContainerRecord& record) {
  const fs::path directory = context.containers().directory(record.id);
  if (const std::optional<ProcessExit> exit = find_process_exit(directory)) {
    if (!exit->started_at.empty()) record.last_finished_at = exit->finished_at;
    ::unlink((directory / kExitFile).c_str());
  }
  // The plan is as old as the container; its layers may not have been mounted since a reboot.
  if (record.shim.root) renew_rootfs(context.store(), layer_ids(record), *record.shim.root);
  record.wanted = WantedState::Running;
  record.has_been_started = true;
  context.containers().save(record, RecordDurability::Cached);
}

StartedContainer attach_running(Context& context, const ContainerRecord& record, const StartRequest& request) {
  StartedContainer started;
  started.id = record.id;
  started.was_running = true;
  if (request.attach_streams == 0) return started;
  std::optional<ShimConnection> connection = ShimConnection::connect(context.containers().run_directory(record.id));
  if (!connection) throw Error(ErrorKind::Busy, "container " + record.id + " is not running");
  started.pid = connection->pid();
  started.connection = std::move(*connection).attach(request.attach_streams);
  return started;
}

StartedShim spawn_shim(Context& context, const ContainerRecord& record, const StartRequest& request,
                       const PreparedNetwork& network) {
  const TraceSpan span("start shim");
  ShimRequest shim;
  shim.shim_program = own_companion("ctr-shim");
  shim.container_dir = context.containers().directory(record.id);
  shim.run_dir = context.containers().run_directory(record.id);
  shim.attach_streams = request.attach_streams;
  shim.network = &network.service;
  shim.terminal = request.terminal;
  if (network_mode_of(record.host) != NetworkMode::Networks) return start_shim(shim);
  // It forwards ports and names between where we are and the bridges.
  return with_bridges(context.paths(), [&] { return start_shim(shim); });
}

/// Docker wraps what the runtime said.
[[noreturn]] void rethrow_start_error(const StartError& error) {
  throw StartError(error.kind(), "failed to create task for container: failed to create shim task: " + std::string(error.what()),
                   error.error_number(), error.exit_status());
}

}  // namespace

StartedContainer start_container(Context& context, const std::string& container, const StartRequest& request) {
  const TraceSpan span("start container");
  require_containers();
  tidy_dead_containers(context);  // they may hold ports and addresses
  const std::string id = context.containers().resolve(container);
  std::optional<FileLock> lock = context.containers().lock(id);
  wait_for_begun_run(context, id);
  ContainerRecord record = context.containers().load(id);
  const ContainerState state = read_state(context, record);
  if (state.status == ContainerStatus::Paused) {
    throw Error(ErrorKind::Busy, "cannot start a paused container, try unpause instead");
  }
  if (state.status == ContainerStatus::Removing) {
    throw Error(ErrorKind::Busy, "container is marked for removal and cannot be started");
  }
  if (state.is_running()) return attach_running(context, record, request);
  settle_last_run(context, record);

  StartGuard guard(context, record);
  const PreparedNetwork network = prepare_network(context, record);
  record.shim.claims_while_running = network.names;
  write_bundle(context, record, network);
  begin_run(context, record);
  StartedContainer started;
  started.id = id;
  started.warnings = network.warnings;
  try {
    StartedShim shim = spawn_shim(context, record, request, network);
    started.pid = shim.pid;
    started.connection = std::move(shim.connection);
  } catch (const StartError& error) {
    wait_for_shim_end(context, id);
    rethrow_start_error(error);
  }
  guard.finish();
  return started;
}

}  // namespace ctr
