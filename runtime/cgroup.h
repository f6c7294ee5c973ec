// Control groups of one container on v1, v2 and hybrid machines behind one class. A v1 controller that is mounted is
// used as v1; the v2 tree beside it is used too, for what needs no controller (entering by clone, freezing, killing,
// counting).
//
// Entering costs more than everything else if done wrongly: a parent that writes a pid to `cgroup.procs` waits 8 to 20
// ms for the kernel. So on v2 the child is born inside (CLONE_INTO_CGROUP), and on v1 it writes "0" to each `tasks`
// file while it has one thread. Sandbox does both; Cgroup only hands out the descriptors.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include "base/fd.h"
#include "base/file.h"
#include "runtime/spec.h"

namespace ctr {

enum class CgroupLayout { None, V1, V2, Hybrid };

/// What is mounted on this machine. Found once per process.
CgroupLayout cgroup_layout();

/// The control group of a container of `ctr` ("/ctr/<id>/payload") and of the shim that holds it.
std::string container_cgroup_path(std::string_view container_id);
std::string holder_cgroup_path(std::string_view container_id);

/// Moves this process, which must have one thread, into the holder's group, made as needed; so that it outlives the
/// session or job that started it. Nothing happens where no cgroup can be written.
void enter_holder_cgroup(std::string_view container_id);

/// Removes what all containers share, "/ctr" and "/ctr/shims", where nobody is in it.
void remove_shared_cgroups();

struct CgroupStats {
  std::uint64_t cpu_usage_ns = 0;
  std::uint64_t cpu_user_ns = 0;
  std::uint64_t cpu_system_ns = 0;
  std::vector<std::uint64_t> cpu_per_processor_ns;
  std::uint64_t throttled_periods = 0;
  std::uint64_t total_periods = 0;
  std::uint64_t throttled_ns = 0;
  std::uint64_t memory_usage = 0;
  std::uint64_t memory_max_usage = 0;
  /// The largest value when there is no limit.
  std::uint64_t memory_limit = 0;
  std::uint64_t memory_failures = 0;
  std::uint64_t swap_usage = 0;
  std::uint64_t swap_limit = 0;
  /// memory.stat as it is.
  std::map<std::string, std::uint64_t> memory_stat;
  std::uint64_t pids_current = 0;
  /// 0 when there is no limit.
  std::uint64_t pids_limit = 0;
  struct BlockIo {
    std::uint64_t major = 0, minor = 0, read_bytes = 0, write_bytes = 0, read_operations = 0, write_operations = 0;
  };
  std::vector<BlockIo> block_io;
  struct Hugepages {
    std::string page_size;
    std::uint64_t usage = 0, max_usage = 0, failures = 0;
  };
  std::vector<Hugepages> hugepages;
  std::uint64_t oom_kills = 0;
};

/// What to do where a group can't be made or a limit not be set (rootless, a read-only cgroupfs).
enum class CgroupPolicy { Required, BestEffort };

/// A container's groups, one directory per hierarchy. Copyable value: paths only, the kernel holds the state.
class Cgroup {
 public:
  /// Makes the groups and applies limits and device rules. `path` is absolute, as in linux.cgroupsPath.
  /// With BestEffort, missing() afterwards says in one sentence what could not be done.
  static Cgroup create(const std::string& path, const ResourcesSpec& resources,
                       CgroupPolicy policy = CgroupPolicy::Required);
  /// The existing groups of that path, whichever hierarchies have one.
  static Cgroup open(const std::string& path);
  /// The groups of a process, from /proc/PID/cgroup.
  static Cgroup of_process(pid_t pid);

  const std::string& path() const noexcept { return path_; }
  const std::string& missing() const noexcept { return missing_; }
  bool exists() const;

  /// Changes limits of a running container; absent members stay.
  void update(const ResourcesSpec& resources) const;

  /// Sends the signal to every process in the group and below.
  void kill(int signal = 9) const;
  /// Stops every process and waits until they stand still.
  void freeze() const;
  void thaw() const;
  bool is_frozen() const;
  bool can_freeze() const;

  /// Every process in the group and below.
  std::vector<pid_t> pids() const;
  bool is_empty() const;
  CgroupStats stats() const;
  /// Times that the kernel killed a process of this group for want of memory.
  std::uint64_t oom_kills() const;

  /// Removes the groups and those below, waiting for processes that are still dying up to `patience`.
  /// Processes that live are not killed: Busy is thrown.
  void remove(std::chrono::milliseconds patience = std::chrono::milliseconds(1000)) const;

  /// For clone3: the v2 directory, if there is one.
  std::optional<Fd> open_unified_directory() const;
  /// For the child: each v1 `tasks` file, open for writing.
  std::vector<Fd> open_tasks_files() const;
  /// Moves a process in from outside: the slow way, for processes that did not come through Sandbox.
  void add_process(pid_t pid) const;
  /// Directory by controller name ("memory"; "" is v2), for those who need a file of their own.
  std::optional<fs::path> directory_of(std::string_view controller) const;
  /// Each v1 directory under the name that /sys/fs/cgroup gives its hierarchy ("cpu,cpuacct", "systemd").
  std::vector<std::pair<std::string, fs::path>> v1_directories() const;

 private:
  struct Directory {
    std::string controllers;
    fs::path path;
    bool is_unified = false;
  };

  std::string path_;
  std::string missing_;
  std::vector<Directory> directories_;
};

}  // namespace ctr
