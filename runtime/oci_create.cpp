// create, start, run: from a bundle to a running container and, for run, to its end.
#include <csignal>
#include <cstdlib>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "base/time.h"
#include "runtime/hooks.h"
#include "runtime/oci_commands.h"
#include "runtime/oci_flags.h"
#include "runtime/seccomp.h"
#include "runtime/systemd_cgroup.h"
#include "runtime/terminal.h"

namespace ctr {

namespace {

struct CreateOptions {
  std::string id;
  fs::path bundle;
  fs::path console_socket;
  fs::path pid_file;
  fs::path pidfd_socket;
  int preserved_fds = 0;
  bool use_pivot_root = true;
  bool use_new_keyring = true;
  bool is_detached = true;
  bool keeps = false;
};

CreateOptions parse_create_options(const OciArguments& arguments, const std::vector<OciFlag>& more) {
  using enum OciFlag::Kind;
  std::vector<OciFlag> known = {{"bundle,b", Value},    {"console-socket", Value},  {"pid-file", Value},
                                {"no-pivot", Switch},   {"no-new-keyring", Switch}, {"preserve-fds", Value},
                                {"pidfd-socket", Value}};
  known.insert(known.end(), more.begin(), more.end());
  const OciFlags flags(arguments, known);
  CreateOptions options;
  options.id = container_id_of(flags.rest());
  options.bundle = fs::absolute(flags.value_or("bundle", ".")).lexically_normal();
  options.console_socket = flags.value_or("console-socket", "");
  options.pid_file = flags.value_or("pid-file", "");
  options.pidfd_socket = flags.value_or("pidfd-socket", "");
  options.preserved_fds = static_cast<int>(flags.number("preserve-fds").value_or(0));
  // Socket activation hands its descriptors on by itself.
  if (const char* listen = std::getenv("LISTEN_FDS")) {
    options.preserved_fds += static_cast<int>(parse_int(listen).value_or(0));
  }
  options.use_pivot_root = !flags.is_on("no-pivot");
  options.use_new_keyring = !flags.is_on("no-new-keyring");
  options.is_detached = flags.is_on("detach");
  options.keeps = flags.is_on("keep");
  return options;
}

std::string cgroup_path_of(const OciContext& context, const Spec& spec, const std::string& id) {
  if (context.uses_systemd) return systemd_cgroup_path(spec.linux.cgroups_path, id);
  if (spec.linux.cgroups_path.empty()) return "/" + id;
  return (fs::path("/") / spec.linux.cgroups_path).lexically_normal();
}

SandboxOptions sandbox_options(const CreateOptions& options, const Bundle& bundle) {
  SandboxOptions sandbox;
  sandbox.id = options.id;
  sandbox.bundle = options.bundle;
  sandbox.seccomp_filter = bundle.seccomp_filter;
  sandbox.rlimits = RlimitPolicy::Exact;
  sandbox.preserved_fds = options.preserved_fds;
  sandbox.use_pivot_root = options.use_pivot_root;
  sandbox.use_new_keyring = options.use_new_keyring;
  return sandbox;
}

Bundle prepare_bundle(const CreateOptions& options) {
  Bundle bundle = load_bundle(options.bundle);
  if (!bundle.spec.process) throw Error(ErrorKind::Invalid, "config.json has no process");
  if (bundle.spec.root.path.empty()) throw Error(ErrorKind::Invalid, "config.json has no root.path");
  bundle.seccomp_filter = bundle.spec.linux.seccomp ? compile_seccomp(*bundle.spec.linux.seccomp) : "";
  if (bundle.spec.process->terminal && options.console_socket.empty() && options.is_detached) {
    throw Error(ErrorKind::Invalid, "a container with a terminal that is not attended needs --console-socket");
  }
  if (!bundle.spec.process->terminal && !options.console_socket.empty()) {
    throw Error(ErrorKind::Invalid, "--console-socket is for containers with a terminal");
  }
  return bundle;
}

/// A container in the making. What was made is taken back unless keep() is called.
class Creation {
 public:
  Creation(const OciContext& context, const CreateOptions& options)
      : context_(context), options_(options), bundle_(prepare_bundle(options)) {
    directory_ = context.store.create(options.id);
    container_.id = options.id;
    container_.bundle = options.bundle;
    container_.rootfs = (options.bundle / bundle_.spec.root.path).lexically_normal();
    container_.created = format_time(now());
    container_.owner = ::geteuid();
    container_.cgroup_path = cgroup_path_of(context, bundle_.spec, options.id);
  }
  ~Creation() {
    if (is_kept_) return;
    try {
      if (const auto group = OciStore::cgroup_of(container_)) {
        group->kill();
        group->remove();
      }
      context_.store.remove(options_.id);
      if (has_process_) run_last_hooks(bundle_.spec, container_);
    } catch (const Error&) {
      // The failure that brought us here is the one to tell.
    }
  }
  Creation(const Creation&) = delete;
  Creation& operator=(const Creation&) = delete;

  enum class Gate { Directory, Parent };

  Sandbox create(Gate gate) {
    Bundle copy = bundle_;
    copy.path = directory_;
    save_bundle(copy, Durability::Cached);
    // From here on `delete --force` finds what a creator that is killed leaves behind.
    context_.store.save(container_);
    const CgroupPolicy policy = context_.is_rootless ? CgroupPolicy::BestEffort : CgroupPolicy::Required;
    cgroup_ = Cgroup::create(container_.cgroup_path, bundle_.spec.linux.resources, policy);
    SandboxOptions options = sandbox_options(options_, bundle_);
    if (gate == Gate::Directory) options.gate_directory = directory_;
    has_process_ = true;
    Sandbox sandbox = start_sandbox(bundle_.spec, bundle_.spec.root.path, {}, &*cgroup_, options);
    container_.pid = sandbox.pid();
    container_.start_time = process_start_time(sandbox.pid()).value_or(0);
    context_.store.save(container_);
    if (context_.uses_systemd) register_with_systemd(container_.cgroup_path, bundle_.spec, sandbox.pid());
    if (!options_.console_socket.empty()) send_console(options_.console_socket, sandbox.take_console().get());
    if (!options_.pidfd_socket.empty()) send_pidfd(options_.pidfd_socket, sandbox.pidfd());
    if (!options_.pid_file.empty()) {
      write_file_atomic(options_.pid_file, std::to_string(sandbox.pid()), Durability::Cached);
    }
    return sandbox;
  }

  void keep() { is_kept_ = true; }
  const OciContainer& container() const { return container_; }

 private:
  const OciContext& context_;
  const CreateOptions& options_;
  Bundle bundle_;
  fs::path directory_;
  OciContainer container_;
  std::optional<Cgroup> cgroup_;
  bool has_process_ = false;
  bool is_kept_ = false;
};

/// The container is stopped then, and its deletion runs the last hooks.
void end_container(const OciContainer& container) {
  const auto process = open_container_process(container);
  if (process) ::syscall(SYS_pidfd_send_signal, process->get(), SIGKILL, nullptr, 0);
}

}  // namespace

int oci_create(const OciContext& context, const OciArguments& arguments) {
  const CreateOptions options = [&] {
    CreateOptions parsed = parse_create_options(arguments, {});
    parsed.is_detached = true;
    return parsed;
  }();
  continue_protected();
  Creation creation(context, options);
  Sandbox sandbox = creation.create(Creation::Gate::Directory);
  sandbox.release();
  creation.keep();
  return 0;
}

int oci_start(const OciContext& context, const OciArguments& arguments) {
  const OciContainer container = context.store.load(container_id_of(OciFlags(arguments, {}).rest()));
  const OciStatus status = context.store.status_of(container);
  if (status != OciStatus::Created) {
    throw Error(ErrorKind::Invalid, "cannot start a container that is " + std::string(status_name(status)));
  }
  const Bundle bundle = context.store.load_config(container.id);
  SandboxOptions options;
  options.id = container.id;
  options.bundle = container.bundle;
  options.seccomp_filter = bundle.seccomp_filter;
  const auto group = OciStore::cgroup_of(container);
  try {
    run_start_container_hooks(bundle.spec, options, group ? &*group : nullptr, container.pid);
    open_start_gate(context.store.directory_of(container.id), bundle.spec.process->args.at(0));
    run_poststart_hooks(bundle.spec, options, container.pid);
  } catch (const Error&) {
    end_container(container);
    throw;
  }
  return 0;
}

int oci_run(const OciContext& context, const OciArguments& arguments) {
  using enum OciFlag::Kind;
  const CreateOptions options =
      parse_create_options(arguments, {{"detach,d", Switch}, {"keep", Switch}, {"no-subreaper", Switch}});
  continue_protected();
  Creation creation(context, options);
  Sandbox sandbox = creation.create(Creation::Gate::Parent);
  const Fd console = sandbox.take_console();
  std::optional<SignalWatch> signals;
  if (!options.is_detached) signals.emplace();
  sandbox.start();
  creation.keep();
  if (options.is_detached) {
    sandbox.release();
    return 0;
  }
  const ExitStatus status = attend_process(sandbox, console, *signals);
  sandbox.release();
  if (!options.keeps) destroy_container(context, creation.container());
  return status.shell_code();
}

}  // namespace ctr
