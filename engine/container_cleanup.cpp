#include "engine/container_cleanup.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "base/lock.h"
#include "base/time.h"
#include "engine/container_mounts.h"
#include "engine/container_network.h"
#include "engine/container_state.h"
#include "engine/container_store.h"
#include "engine/emulation.h"
#include "engine/events.h"
#include "engine/logs.h"
#include "engine/make_spec.h"
#include "engine/shim_settings.h"
#include "engine/volumes.h"
#include "image/store.h"
#include "runtime/bridge_network.h"
#include "runtime/cgroup.h"

namespace ctr {
namespace {

/// Kills what a dead shim may have left running (with --pid=host nothing else ends it), and removes the groups. A group
/// that shims share (on v1 all are in one) stays: killing it would end other containers, and removing it would race with
/// shims that are about to enter it.
void remove_cgroup(const ContainerRecord& record) {
  std::vector<std::string> paths = {record.cgroup_path + "/payload", record.cgroup_path};
  const std::string holder = holder_cgroup_path(record.id);
  const bool is_own = holder.find(record.id) != std::string::npos;
  if (is_own && !holder.starts_with(record.cgroup_path)) paths.push_back(holder.substr(0, holder.rfind('/')));
  for (const std::string& path : paths) {
    const Cgroup cgroup = Cgroup::open(path);
    if (!cgroup.exists()) continue;
    cgroup.kill();
    cgroup.remove();
  }
}

/// The shim was killed and could not say how the container ended: it died with its shim.
void write_missing_exit(Context& context, const ContainerRecord& record) {
  const fs::path directory = context.containers().directory(record.id);
  if (!record.has_been_started || path_exists(directory / kExitFile)) return;
  const ContainerState state = read_state(context, record);
  ProcessExit exit;
  exit.exit_code = state.exit_code;
  exit.started_at = state.started_at == kZeroTimeText ? std::string() : state.started_at;
  exit.finished_at = state.finished_at == kZeroTimeText ? format_time(now()) : state.finished_at;
  if (exit.started_at.empty()) exit.started_at = exit.finished_at;
  exit.restart_count = static_cast<std::int32_t>(state.restart_count);
  exit.error = "the process that held the container was killed";
  write_file_atomic(directory / kExitFile, to_json(exit).dump(), Durability::Cached, 0600);
}

void remove_run_files(const fs::path& run_directory) {
  for (const std::string_view name : {kStateFile, kShimSocket, kHealthFile}) {
    ::unlink((run_directory / name).c_str());
  }
  remove_tree(run_directory / "exec");
  remove_tree(run_directory / "mounts");
  remove_tree(run_directory / "shm");
  remove_tree(run_directory / kEmulationDirectory);
}

}  // namespace

void wait_for_begun_run(Context& context, const std::string& id) {
  constexpr std::chrono::milliseconds kBetweenLooks{5};
  const fs::path run_directory = context.containers().run_directory(id);
  while (is_shim_alive(run_directory) && !path_exists(run_directory / kStateFile)) {
    std::this_thread::sleep_for(kBetweenLooks);
  }
}

void wait_for_shim_end(Context& context, const std::string& id) {
  const fs::path lock = context.containers().run_directory(id) / kShimLock;
  if (path_exists(lock)) FileLock::acquire(lock, LockMode::Exclusive);
}

void tidy_run(Context& context, const ContainerRecord& record) {
  remove_cgroup(record);
  release_container_network(context, record);
  release_mounts(context, record.id);
  for (const MountPoint& mount : record.mounts) {
    if (mount.type == "volume") unmount_idle_volume(context, mount.name);
  }
  remove_run_files(context.containers().run_directory(record.id));
}

void settle_last_run(Context& context, const ContainerRecord& record) {
  const fs::path run_directory = context.containers().run_directory(record.id);
  if (!path_exists(run_directory / kShimLock)) return;
  wait_for_shim_end(context, record.id);
  if (!path_exists(run_directory / kStateFile)) return;  // tidied before
  const bool was_killed = !path_exists(context.containers().directory(record.id) / kExitFile);
  write_missing_exit(context, record);
  repair_log(context.containers().directory(record.id));
  tidy_run(context, record);
  // A shim that ends by itself leaves that to the process that tidies up after it.
  if (was_killed) retire_idle_networks(context.paths(), WhenIdle::Now);
}

void remove_stopped(Context& context, const ContainerRecord& record, RemoveVolumes volumes) {
  settle_last_run(context, record);
  tidy_run(context, record);
  if (!record.snapshot.empty()) context.store().snapshots().remove(record.snapshot);
  context.containers().remove(record);
  if (volumes == RemoveVolumes::Yes) {
    for (const MountPoint& mount : record.mounts) {
      if (mount.anonymous) remove_anonymous_volume(context, mount.name, record.id);
    }
  }
  context.events().append({"container", "destroy", record.id, event_attributes(record), 0});
}

namespace {

/// Whether it ran when the machine went down: nothing is known of that run, and no group is left of it.
bool is_lost(Context& context, const ContainerRecord& record) {
  return record.has_been_started && !path_exists(context.containers().run_directory(record.id) / kShimLock) &&
         (record.cgroup_path.empty() || !Cgroup::open(record.cgroup_path).exists());
}

/// Tidies after a container that has ended, and removes it if that was asked for.
void tidy_container(Context& context, const std::string& id) {
  std::optional<FileLock> lock;
  try {
    lock = context.containers().lock(id);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::NotFound) return;
    throw;
  }
  if (!context.containers().find(id)) return;  // a create that was killed
  const ContainerRecord record = context.containers().load(id);
  if (read_state(context, record).is_running()) return;  // started again meanwhile
  settle_last_run(context, record);
  const bool has_run = path_exists(context.containers().directory(id) / kExitFile) || is_lost(context, record);
  if (record.host.auto_remove && has_run) remove_stopped(context, record, RemoveVolumes::Yes);
}

/// Whether a run is over and nobody is about to tidy after it. After an orderly end the process that the shim spawned
/// does it; it is left alone for a while.
bool is_abandoned(const fs::path& directory, const fs::path& run_directory) {
  constexpr std::chrono::seconds kPatience{10};
  struct stat status {};
  if (::stat((run_directory / kStateFile).c_str(), &status) != 0 || is_shim_alive(run_directory)) return false;
  const Time written = Time(std::chrono::seconds(status.st_mtim.tv_sec));
  return !path_exists(directory / kExitFile) || now() - written > kPatience;
}

/// After a reboot the run directory is empty and names no container; of those with --rm nothing may stay. Once a boot.
void remove_lost_containers(Context& context) {
  const fs::path mark = context.paths().run / "lost-removed";
  if (path_exists(mark)) return;
  for (const ContainerRecord& record : context.containers().list()) {
    if (record.host.auto_remove && is_lost(context, record)) tidy_container(context, record.id);
  }
  make_directories(context.paths().run);
  open_file(mark, O_WRONLY | O_CREAT, 0600);
}

}  // namespace

void cleanup_container(Context& context, const std::string& id) {
  const std::optional<ContainerRecord> record = context.containers().find(id);
  if (!record) return;
  tidy_container(context, id);
  if (network_mode_of(record->host) == NetworkMode::Networks) retire_idle_networks(context.paths(), WhenIdle::Wait);
}

void tidy_dead_containers(Context& context) {
  remove_lost_containers(context);
  for (const std::string& id : list_directory(context.paths().run / "containers")) {
    const fs::path run_directory = context.containers().run_directory(id);
    if (is_abandoned(context.containers().directory(id), run_directory)) tidy_container(context, id);
  }
}

}  // namespace ctr
