// What the child does between clone and exec, as flat data. Everything is decided, looked up and spelt out beforehand
// by plan_start or plan_join in ordinary C++; run_init (init_child.cpp) only walks it with raw system calls. All
// pointers lead into the plan's arena or to literals, so that nothing is allocated, locked or freed on the other side
// of the clone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <sys/types.h>

namespace ctr {

/// Where the child was when something failed. describe_failure turns it into words.
enum class InitStep : std::uint8_t {
  None,
  Descriptors,
  WaitForParent,
  JoinCgroup,
  JoinNamespace,
  Fork,
  MakeNamespace,
  BecomeRoot,
  TimeOffsets,
  OomScore,
  Hostname,
  Domainname,
  Loopback,
  JoinedSysctl,
  Sysctl,
  Propagation,
  AttachRoot,
  MountTarget,
  Mount,
  MountAttributes,
  MakeDirectory,
  Device,
  DeviceLink,
  Terminal,
  MaskPath,
  ReadonlyPath,
  ReadonlyRoot,
  PivotRoot,
  Keyring,
  SecurityLabel,
  Session,
  Rlimit,
  Personality,
  MemoryPolicy,
  Affinity,
  Scheduler,
  IoPriority,
  Groups,
  UserId,
  Capabilities,
  NoNewPrivileges,
  Seccomp,
  WorkingDirectory,
  FindCommand,
  StartGate,
  ParentDied,
  Execute,
};

/// The messages of the sync socket (SOCK_SEQPACKET), child to parent. Descriptors travel beside them.
enum class InitMessageType : std::uint8_t {
  Failure,          // the child is about to exit
  NamespacesReady,  // it waits for kParentGo
  Forked,           // `value` is the pid of the process that goes on; this one exits
  MountsReady,      // it waits for kParentGo: hooks run now
  Console,          // carries the terminal's master
  SeccompListener,  // carries the notify descriptor
  Ready,            // at the gate
};

inline constexpr char kParentGo = 'g';
inline constexpr char kParentStart = 's';

struct InitMessage {
  InitMessageType type = InitMessageType::Failure;
  InitStep step = InitStep::None;
  std::int32_t index = 0;
  std::int32_t error = 0;
  std::int64_t value = 0;
};

struct PlannedOption {
  const char* key;
  const char* value;  // null for a flag
};

enum class MountKind : std::uint8_t { FileSystem, Bind, Prepared };

/// What a missing mount point is made as, beside what the source tells.
struct PlannedMount {
  MountKind kind;
  bool is_recursive;     // a bind takes what is mounted below its source along
  bool is_plain_target;  // no component of the target may be a symbolic link (/proc, /sys)
  bool keeps_mode;       // a tmpfs takes mode and owner of the directory that it covers
  bool is_optional;      // ENODEV, a file system that this kernel lacks, is not fatal
  const char* type;
  const char* source;
  const char* target;  // inside the root
  const PlannedOption* options;
  std::size_t option_count;
  std::uint64_t set_attributes;  // MOUNT_ATTR_*, this mount
  std::uint64_t clear_attributes;
  std::uint64_t recursive_set_attributes;  // and all below it
  std::uint64_t recursive_clear_attributes;
  unsigned long propagation;  // MS_SHARED and its like, perhaps with MS_REC; 0 leaves it
  int prepared;               // Prepared: a detached mount
};

struct PlannedDirectory {
  const char* path;
  mode_t mode;
};

/// A device node, or a bind of the host's node of the same path where nodes can't be made.
struct PlannedDevice {
  const char* path;
  mode_t mode;  // with the type
  dev_t device;
  uid_t uid;
  gid_t gid;
};

struct PlannedLink {
  const char* path;
  const char* target;
};

/// A file below /proc of the host (sysctls, labels) and what is written to it.
struct PlannedWrite {
  const char* path;
  const char* text;
  std::size_t size;
};

struct PlannedNamespace {
  int fd;
  int type;  // CLONE_NEW*
};

struct PlannedRlimit {
  int resource;
  std::uint64_t soft;
  std::uint64_t hard;
};

/// The kernel's struct sched_attr, first version.
struct PlannedScheduler {
  std::uint32_t size;
  std::uint32_t policy;
  std::uint64_t flags;
  std::int32_t nice;
  std::uint32_t priority;
  std::uint64_t runtime;
  std::uint64_t deadline;
  std::uint64_t period;
};

template <typename T>
struct PlannedList {
  const T* data = nullptr;
  std::size_t size = 0;
  const T* begin() const { return data; }
  const T* end() const { return data + size; }
};

struct PlannedCapabilities {
  std::uint64_t bounding = 0;
  std::uint64_t effective = 0;
  std::uint64_t permitted = 0;
  std::uint64_t inheritable = 0;
  std::uint64_t ambient = 0;
};

struct InitPlan {
  // Descriptors.
  int sync_fd = -1;
  int stdio[3] = {0, 1, 2};
  int first_closed_fd = 3;    // after the preserved ones
  PlannedList<int> kept_fds;  // ascending; everything else from first_closed_fd on is closed
  int gate_fd = -1;           // one byte read here opens the gate, instead of kParentStart
  int gate_report_fd = -1;    // a failure after that is written here

  // Namespaces.
  unsigned new_namespaces = 0;    // CLONE_NEW* for clone3
  bool forks_after_join = false;  // the pid or user namespace is joined, or a new user namespace must come after the
                                  // joined ones: clone once more after setns
  bool makes_cgroup_namespace = false;
  bool makes_time_namespace = false;
  int target_pidfd = -1;  // setns(pidfd) for an exec
  int target_namespaces = 0;
  int target_root = -1;  // the root to change to after joining
  PlannedList<PlannedNamespace> joined_namespaces;
  bool waits_for_parent = false;  // id maps, network
  bool becomes_root = false;      // uid and gid 0 of a user namespace
  bool may_set_groups = true;
  PlannedWrite time_offsets{nullptr, nullptr, 0};
  PlannedWrite oom_score{nullptr, nullptr, 0};
  bool oom_score_is_optional = false;
  PlannedList<int> cgroup_files;  // each gets "0"
  const char* hostname = nullptr;
  const char* domainname = nullptr;
  bool brings_up_loopback = false;
  PlannedList<PlannedWrite> joined_sysctls;  // of a joined network, which a user namespace made later may not set
  PlannedList<PlannedWrite> sysctls;

  // The root file system. Absent when root_path is null and root_mount is -1 (exec, hooks).
  const char* root_path = nullptr;
  int root_mount = -1;
  unsigned long root_propagation_before = 0;
  unsigned long root_propagation_after = 0;
  bool is_root_readonly = false;
  bool uses_pivot_root = true;
  PlannedList<PlannedMount> mounts;
  PlannedList<PlannedDevice> devices;
  PlannedList<PlannedLink> links;
  PlannedList<const char*> masked_paths;
  PlannedList<const char*> readonly_paths;
  bool waits_for_hooks = false;

  // The process.
  bool has_terminal = false;
  std::uint16_t terminal_rows = 0;
  std::uint16_t terminal_columns = 0;
  const char* keyring_name = nullptr;
  PlannedWrite security_label{nullptr, nullptr, 0};
  PlannedList<PlannedRlimit> rlimits;
  bool has_personality = false;
  unsigned long personality = 0;
  bool has_memory_policy = false;
  int memory_policy = 0;
  PlannedList<unsigned long> memory_nodes;
  PlannedList<unsigned long> initial_affinity;
  PlannedList<unsigned long> affinity;
  bool has_scheduler = false;
  PlannedScheduler scheduler{};
  int io_priority = -1;
  mode_t umask = 022;
  bool keeps_privileges = false;  // a hook: the runtime's own user, groups and capabilities
  uid_t uid = 0;
  gid_t gid = 0;
  PlannedList<gid_t> groups;
  PlannedCapabilities capabilities;
  bool no_new_privileges = false;
  const void* seccomp_filter = nullptr;
  std::size_t seccomp_filter_size = 0;
  unsigned seccomp_flags = 0;
  bool has_seccomp_listener = false;
  int parent_death_signal = 0;
  const char* cwd = "/";
  PlannedList<const char*> candidates;  // files to execute, first that works
  const char* const* argv = nullptr;
  const char* const* envp = nullptr;
};

/// clone3 with the plan's namespaces; the child never returns. The pid, or -errno. `pidfd` receives a descriptor.
/// With `cgroup_fd` (a v2 directory, or -1) the child is born inside it.
pid_t clone_init(const InitPlan& plan, int cgroup_fd, int* pidfd) noexcept;

}  // namespace ctr
