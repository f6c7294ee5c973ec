// From an OCI spec and a root filesystem to a contained process, in two moves: start_sandbox makes namespaces, mounts
// and everything else and leaves the init child waiting at the gate; start() lets it execute its command. So `create`
// and `start` are two calls and `run` is both. A failure anywhere in the child becomes one sentence here.
//
// The caller may have threads: between clone and exec only the allocation-free code of init_child.cpp runs. With
// parent_death_signal the container dies with the *thread* that started it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <sys/types.h>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/mount.h"
#include "base/process.h"
#include "runtime/cgroup.h"
#include "runtime/spec.h"

namespace ctr {

/// Borrowed descriptors for 0, 1, 2 of the command; ignored when it has a terminal.
struct Stdio {
  int in = 0;
  int out = 1;
  int err = 2;
};

/// The root filesystem: a directory (relative ones belong to the bundle), a detached mount, or an overlay to be
/// mounted.
using RootSource = std::variant<fs::path, Fd, OverlayMount>;

/// An overlay as a detached mount on every kernel of the floor: by `lowerdir+`, else by mount(2) in the private mount
/// namespace of a small child. Lowers may be relative to `base` ("layers/<hex>/fs"), which keeps the option text short.
Fd mount_overlay(const OverlayMount& overlay, const fs::path& base = {});

/// A user in Docker's syntax, resolved in the root filesystem when the sandbox starts.
struct UserRequest {
  std::string user;
  std::vector<std::string> groups;
};

/// Keys under which `ctr` keeps a UserRequest in the annotations of a config.json of its own.
inline constexpr std::string_view kUserAnnotation = "ctr.user";
inline constexpr std::string_view kGroupsAnnotation = "ctr.groups";  // comma separated
/// Nothing when the spec has no such annotation.
std::optional<UserRequest> user_request_of(const Spec& spec);

enum class RlimitPolicy { Exact, ClampToOwn };

struct SandboxOptions {
  /// Names the container in hooks' state and its keyring.
  std::string id;
  fs::path bundle;
  /// The compiled filter (compile_seccomp or the bundle's seccomp.bpf). REQUIRED when the spec has a seccomp object.
  std::string seccomp_filter;
  /// Overrides spec.process.user; HOME is set from passwd when the environment has none.
  std::optional<UserRequest> user;
  RlimitPolicy rlimits = RlimitPolicy::ClampToOwn;
  /// Sent to the container when the starting thread ends; 0 for none.
  int parent_death_signal = 0;
  /// For a creator that does not stay: FIFOs made in this directory are the gate instead of Sandbox::start, and
  /// open_start_gate opens it from another process. Empty for none.
  fs::path gate_directory;
  /// Descriptors from 3 on that the command inherits as they are.
  int preserved_fds = 0;
  bool use_pivot_root = true;
  bool use_new_keyring = true;
  /// Called in the parent when the namespaces exist and before anything is mounted: attach networks here.
  std::function<void(pid_t)> on_namespaces;
};

/// The container could not be set up or its command not be executed.
class SandboxError : public Error {
 public:
  SandboxError(ErrorKind kind, const std::string& message, int error_number, int exit_status)
      : Error(kind, message, error_number), exit_status_(exit_status) {}
  /// As a shell and Docker count it: 127 command not found, 126 not executable, 125 anything else.
  int exit_status() const noexcept { return exit_status_; }

 private:
  int exit_status_;
};

/// A process in a container, from start_sandbox or exec_in. Destroying one that was neither started nor released ends
/// it.
class Sandbox {
 public:
  Sandbox(Sandbox&&) noexcept;
  Sandbox& operator=(Sandbox&&) noexcept;
  ~Sandbox();

  pid_t pid() const noexcept;
  /// Readable when the process has ended. Borrowed.
  int pidfd() const noexcept;
  /// The master of its terminal; once, and empty without a terminal.
  Fd take_console();
  /// The seccomp notify descriptor; once, and empty without one.
  Fd take_seccomp_listener();

  /// Opens the gate and returns when the command has been executed, after the hooks of that moment.
  /// Throws SandboxError when it can't; the process is then gone.
  void start();
  /// Gives up the gate: the process waits for its FIFO, or goes its way. Returns the pidfd.
  Fd release();

  /// Waits for the end. REQUIRES: this process is the parent (it is, unless it is a subreaper's grandchild).
  ExitStatus wait();
  void kill(int signal) const;

  struct State;
  explicit Sandbox(std::unique_ptr<State> state);

 private:
  std::unique_ptr<State> state_;
};

/// Makes the container and stops at the gate. `cgroup` may be null: the container then stays in the caller's.
/// REQUIRES: spec.process is present. Throws SandboxError; nothing is left behind but the cgroup, which is the
/// caller's.
Sandbox start_sandbox(const Spec& spec, RootSource root, const Stdio& stdio, const Cgroup* cgroup,
                      const SandboxOptions& options);

/// Opens the gate in that directory: returns when the command has been executed, and removes the gate.
/// Throws SandboxError, naming `command`, when that failed; Invalid when nobody waits behind it.
void open_start_gate(const fs::path& directory, const std::string& command);
/// Whether somebody waits behind a gate in that directory: the container is created and not started.
bool has_start_gate(const fs::path& directory);

/// Runs the poststop hooks (after the container has been deleted) or other hooks by hand; failures are returned as one
/// sentence each.
std::vector<std::string> run_poststop_hooks(const Spec& spec, const SandboxOptions& options);

}  // namespace ctr
