#include "builder/exec_run.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <optional>

#include "base/error.h"
#include "base/random.h"
#include "base/rooted_path.h"
#include "base/text.h"
#include "base/trace.h"
#include "builder/exec_chroot.h"
#include "builder/layer_plan.h"
#include "builder/run_mounts.h"
#include "builder/solver.h"
#include "builder/step_reporter.h"
#include "builder/upper_times.h"
#include "image/merged_tree.h"
#include "image/rootfs.h"
#include "runtime/cgroup.h"
#include "runtime/oci_commands.h"
#include "runtime/proc_view.h"
#include "runtime/sandbox.h"
#include "runtime/seccomp.h"
#include "runtime/spec.h"
#include "runtime/spec_defaults.h"
#include "runtime/user_session.h"

namespace ctr {

namespace {

/// The writable half of a step's root. Thrown away unless it became a layer.
class StepSnapshot {
 public:
  StepSnapshot(const Store& store, Pin& pin) : store_(store), id_("build-" + random_hex(12)) {
    pin.add_snapshot(id_);
    store_.snapshots().create(id_);
  }
  ~StepSnapshot() {
    try {
      store_.snapshots().discard(id_, store_.trash_path());
    } catch (const Error&) {
      // Nothing refers to it any more: the next prune takes it.
    }
  }
  StepSnapshot(const StepSnapshot&) = delete;
  StepSnapshot& operator=(const StepSnapshot&) = delete;

  const std::string& id() const noexcept { return id_; }
  fs::path upper() const { return store_.snapshots().upper(id_); }

 private:
  const Store& store_;
  std::string id_;
};

/// A step's control group, emptied and removed at the end.
class StepCgroup {
 public:
  StepCgroup(const std::string& path, const ResourcesSpec& resources)
      : cgroup_(Cgroup::create(path, resources, CgroupPolicy::BestEffort)) {}
  ~StepCgroup() {
    try {
      cgroup_.kill();
      cgroup_.remove();
    } catch (const Error&) {
      // A process that does not die yet keeps its group; an empty group costs nothing.
    }
  }
  StepCgroup(const StepCgroup&) = delete;
  StepCgroup& operator=(const StepCgroup&) = delete;
  const Cgroup& get() const noexcept { return cgroup_; }

 private:
  Cgroup cgroup_;
};

/// Runs one step.
class RunExecution {
 public:
  RunExecution(RunEnvironment& environment, const RunStep& step, Time step_time)
      : environment_(environment),
        step_(step),
        step_time_(step_time),
        mounts_(environment, step),
        is_overlay_(can_mount_overlay(environment.store())) {}

  MadeLayer run() {
    const Store& store = environment_.store();
    StepSnapshot snapshot(store, step_.pin);
    const Spec spec = make_spec();
    if (!is_overlay_) return run_on_copy(snapshot, spec);
    run_to_end(snapshot, [&] { return run_process(snapshot, spec); });
    const TraceSpan span("commit layer");
    if (step_.op.epoch) set_upper_times(snapshot.upper(), *step_.op.epoch, step_time_);
    const LayerInfo layer = store.layers().adopt_upper(snapshot.upper());
    return {layer.identity.diff_id, layer.content_size, step_time_};
  }

 private:
  std::string failure_text(const ExitStatus& status) const {
    std::string text = "process \"" + join(step_.op.arguments, " ") + "\" did not complete successfully: ";
    text += status.signal == SIGKILL && is_out_of_memory_ ? "cannot allocate memory (the step was killed by the kernel)"
                                                          : "exit code: " + std::to_string(status.shell_code());
    return text;
  }

  void run_to_end(const StepSnapshot& snapshot, const std::function<ExitStatus()>& run_command) {
    try {
      const ExitStatus status = run_command();
      if (step_.is_cancelled) throw Error(ErrorKind::Unavailable, "canceled");
      if (!status.success()) throw ExitError(failure_text(status), status.shell_code());
    } catch (const ExitError& failure) {
      if (environment_.request().on_failure == FailureAction::Shell) offer_shell(snapshot, failure.what());
      throw;
    }
  }

  /// Where no overlay can be mounted: on a copy of the layers, of which what changes becomes the layer.
  MadeLayer run_on_copy(const StepSnapshot& snapshot, const Spec& spec) {
    const Store& store = environment_.store();
    const fs::path root = snapshot.upper();
    const bool is_contained = no_containers_reason().empty();
    fs::copy(make_mount_points(), root, fs::copy_options::recursive);
    merge_layers(store, step_.inputs[0].layers, root, MergedFiles::Copied);
    std::optional<ChrootFiles> files;
    if (!is_contained) files.emplace(root, source_of(spec, "/etc/hosts"), source_of(spec, "/etc/resolv.conf"));
    const TreeStamp stamp(root);
    run_to_end(snapshot, [&] { return is_contained ? run_process(snapshot, spec) : run_in_chroot(spec, root); });
    const std::vector<std::string> ignored = files ? files->paths() : std::vector<std::string>();
    files.reset();
    if (step_.op.epoch) set_upper_times(root, *step_.op.epoch, step_time_);
    const LayerInfo layer = stamp.write_changes(store.layers(), ignored);
    return {layer.identity.diff_id, layer.content_size, step_time_};
  }

  /// The content that a file of ours has where containers get it as a mount.
  static std::string source_of(const Spec& spec, const fs::path& target) {
    for (const MountSpec& mount : spec.mounts) {
      if (mount.destination == target) return read_file(mount.source, kMiB);
    }
    return {};
  }

  ExitStatus run_in_chroot(const Spec& spec, const fs::path& root) {
    environment_.warn_not_isolated(step_.reporter);
    Pipe out = make_pipe();
    Pipe err = make_pipe();
    const Fd null = open_file("/dev/null", O_RDONLY);
    try {
      const Stdio streams{null.get(), out.write.get(), err.write.get()};
      ChildProcess child = start_in_chroot(root, *spec.process, step_.op.user, streams);
      out.write.reset();
      err.write.reset();
      forward_output([&] { ::kill(-child.pid(), SIGKILL); }, out.read.get(), err.read.get());
      const ExitStatus status = child.wait();
      ::kill(-child.pid(), SIGKILL);  // what it left behind
      return status;
    } catch (const SandboxError& error) {
      throw_start_failure(error);
    }
  }

  ExitStatus run_process(const StepSnapshot& snapshot, const Spec& spec) {
    StepCgroup cgroup(environment_.cgroup_path() + "/" + snapshot.id(), spec.linux.resources);
    const SandboxOptions options = sandbox_options(spec, snapshot);
    Pipe out = make_pipe();
    Pipe err = make_pipe();
    const Fd null = open_file("/dev/null", O_RDONLY);
    ExitStatus status = run_sandbox(spec, make_root(snapshot), {null.get(), out.write.get(), err.write.get()},
                                    cgroup.get(), options, out, err);
    is_out_of_memory_ = cgroup.get().oom_kills() > 0;
    return status;
  }

  RootSource make_root(const StepSnapshot& snapshot) const {
    if (!is_overlay_) return snapshot.upper();
    OverlayMount overlay = plan_rootfs(environment_.store(), step_.inputs[0].layers, snapshot.id());
    // A volatile overlay can't be mounted a second time, for the shell.
    overlay.is_volatile = environment_.request().on_failure != FailureAction::Shell;
    overlay.lowers.push_back(make_mount_points());
    return overlay;
  }

  SandboxOptions sandbox_options(const Spec& spec, const StepSnapshot& snapshot) const {
    SandboxOptions options;
    options.id = snapshot.id();
    options.bundle = environment_.scratch_directory();
    if (spec.linux.seccomp) {
      const SeccompSpec& seccomp = *spec.linux.seccomp;
      options.seccomp_filter =
          environment_.seccomp_filter(seccomp_json(seccomp), [&] { return compile_seccomp(seccomp); });
    }
    if (!step_.op.user.empty()) options.user = UserRequest{step_.op.user, {}};
    options.parent_death_signal = SIGKILL;
    return options;
  }

  // ---- the shell in a failed step ----

  /// The step's own shell, where it has one.
  std::string shell_path() const {
    const std::string& program = step_.op.arguments.front();
    const std::string name = fs::path(program).filename();
    return name == "bash" || name == "ash" || name == "dash" || name == "zsh" || name == "ksh" ? program : "/bin/sh";
  }

  /// A shell on the user's terminal, in the container that the step left: same files, mounts, network, user.
  void offer_shell(const StepSnapshot& snapshot, const std::string& why) {
    step_.reporter.interrupt([&] {
      if (step_.is_cancelled) return;
      environment_.services().offer_shell(why + "\nThis is a shell in the failed step; its end ends the build.",
                                          [&] { return run_shell(snapshot); });
    });
  }

  int run_shell(const StepSnapshot& snapshot) {
    Spec spec = make_spec();
    spec.process->args = {shell_path()};
    spec.process->terminal = true;
    if (const char* term = ::getenv("TERM")) spec.process->env.push_back(std::string("TERM=") + term);
    StepCgroup cgroup(environment_.cgroup_path() + "/" + snapshot.id(), spec.linux.resources);
    Sandbox sandbox = start_sandbox(spec, make_root(snapshot), {}, &cgroup.get(), sandbox_options(spec, snapshot));
    const Fd console = sandbox.take_console();
    const SignalWatch signals;
    sandbox.start();
    return attend_process(sandbox, console, signals).shell_code();
  }

  ExitStatus run_sandbox(const Spec& spec, RootSource root, const Stdio& stdio, const Cgroup& cgroup,
                         const SandboxOptions& options, Pipe& out, Pipe& err) {
    try {
      Sandbox sandbox = [&] {
        const TraceSpan span("start sandbox");
        return start_sandbox(spec, std::move(root), stdio, &cgroup, options);
      }();
      out.write.reset();
      err.write.reset();
      sandbox.start();
      const TraceSpan span("run command");
      const auto end = [&] {
        sandbox.kill(SIGKILL);
        cgroup.kill();
      };
      forward_output(end, out.read.get(), err.read.get());
      return sandbox.wait();
    } catch (const SandboxError& error) {
      throw_start_failure(error);
    }
  }

  [[noreturn]] void throw_start_failure(const SandboxError& error) const {
    step_.reporter.output(step_.number, StepStream::Err, std::string(error.what()) + "\n");
    throw ExitError("process \"" + join(step_.op.arguments, " ") + "\" did not complete successfully: " + error.what(),
                    error.exit_status());
  }

  /// Passes on what the step prints until its first process has ended and the pipes are empty. Processes that it left
  /// behind may hold the pipes: they end with pid 1's namespace.
  void forward_output(const std::function<void()>& end, int out, int err) {
    ::pollfd polled[] = {{out, POLLIN, 0}, {err, POLLIN, 0}, {step_.cancel_fd, POLLIN, 0}};
    bool is_killed = false;
    while (polled[0].fd >= 0 || polled[1].fd >= 0) {
      if (::poll(polled, 3, -1) < 0 && errno != EINTR) throw_errno(errno, "poll");
      if ((polled[2].revents & POLLIN) != 0 && !is_killed) {
        is_killed = true;
        polled[2].fd = -1;
        end();
      }
      for (int i = 0; i < 2; ++i)
        if (polled[i].fd >= 0 && polled[i].revents != 0 && !pass_on(polled[i].fd, i == 0 ? StepStream::Out : StepStream::Err))
          polled[i].fd = -1;
    }
  }

  /// False at the end of the stream.
  bool pass_on(int fd, StepStream stream) {
    char buffer[64 * 1024];
    const ssize_t count = ::read(fd, buffer, sizeof buffer);
    if (count < 0) return errno == EINTR || errno == EAGAIN;
    if (count == 0) return false;
    step_.reporter.output(step_.number, stream, std::string_view(buffer, static_cast<std::size_t>(count)));
    return true;
  }

  // ---- the spec ----

  Spec make_spec() {
    const ExecOp& op = step_.op;
    Spec spec = default_spec(op.arguments);
    spec.hostname = op.hostname;
    ProcessSpec& process = *spec.process;
    process.cwd = op.directory;
    process.env = op.environment;
    process.env.insert(process.env.end(), step_.proxies.begin(), step_.proxies.end());
    process.env.insert(process.env.end(), mounts_.variables().begin(), mounts_.variables().end());
    add_ulimits(process);
    if (op.shm_size_bytes != 0) replace_shm(spec);
    add_network(spec);
    for (const MountSpec& mount : mounts_.mounts()) spec.mounts.push_back(mount);
    if (op.script) add_script(spec);
    if (op.insecure) make_privileged(spec);
    if (!can_mount_proc()) use_own_views(spec);
    if (const auto user_namespace = environment_.emulators().user_namespace(op.platform))
      enter_emulation(spec, *user_namespace);
    return spec;
  }

  /// In a container whose /proc is masked the kernel allows no fresh one: the step sees the container's processes.
  static void use_own_views(Spec& spec) {
    std::erase_if(spec.linux.namespaces, [](const NamespaceSpec& each) { return each.type == NamespaceType::Pid; });
    for (MountSpec& mount : spec.mounts) {
      if (mount.destination != "/proc" && mount.destination != "/sys") continue;
      mount.type = "bind";
      mount.source = mount.destination.native();
      mount.options = {"rbind", "nosuid", "noexec", "nodev"};
    }
  }

  void add_ulimits(ProcessSpec& process) const {
    for (const std::string& text : step_.op.ulimits) {
      const auto sides = cut(text, '=');
      if (!sides) throw Error(ErrorKind::Invalid, "invalid ulimit argument: " + text);
      const auto limits = cut(sides->second, ':');
      const auto soft = parse_uint(limits ? limits->first : sides->second);
      const auto hard = limits ? parse_uint(limits->second) : soft;
      if (!soft || !hard) throw Error(ErrorKind::Invalid, "invalid ulimit argument: " + text);
      process.rlimits.push_back({"RLIMIT_" + upper(sides->first), *soft, *hard});
    }
  }

  void replace_shm(Spec& spec) const {
    for (MountSpec& mount : spec.mounts)
      if (mount.destination == "/dev/shm")
        for (std::string& option : mount.options)
          if (option.starts_with("size=")) option = "size=" + std::to_string(step_.op.shm_size_bytes);
  }

  void add_network(Spec& spec) {
    const BuildNetwork* network = environment_.network(step_.op.network);
    const fs::path files = environment_.scratch_directory() / ("net-" + std::to_string(step_.number));
    make_directories(files);
    std::string hosts = "127.0.0.1\tlocalhost " + step_.op.hostname + "\n::1\tlocalhost ip6-localhost ip6-loopback\n";
    if (network != nullptr) hosts += network->hosts();
    for (const std::string& host : step_.op.add_hosts) {
      const auto sides = cut(host, host.find('=') == std::string::npos ? ':' : '=');
      if (sides) hosts += sides->second + "\t" + sides->first + "\n";
    }
    add_file_mount(spec, files / "hosts", "/etc/hosts", hosts, 0644);
    const std::string resolvers = network != nullptr ? network->resolv_conf() : std::string();
    add_file_mount(spec, files / "resolv.conf", "/etc/resolv.conf", resolvers, 0644);
    if (network == nullptr) return;
    for (NamespaceSpec& each : spec.linux.namespaces)
      if (each.type == NamespaceType::Network) each.path = network->namespace_path();
    if (network->namespace_path().empty())
      std::erase_if(spec.linux.namespaces, [](const NamespaceSpec& each) { return each.type == NamespaceType::Network; });
  }

  void add_file_mount(Spec& spec, const fs::path& file, const std::string& target, const std::string& content,
                      mode_t mode) {
    write_file_atomic(file, content, Durability::Cached, mode);
    MountSpec mount;
    mount.destination = target;
    mount.type = "bind";
    mount.source = file.native();
    mount.options = {"rbind", "ro", "nosuid", "nodev"};
    spec.mounts.push_back(std::move(mount));
    file_targets_.push_back(target);
  }

  void add_script(Spec& spec) {
    const fs::path directory = environment_.scratch_directory() / ("pipes-" + std::to_string(step_.number));
    make_directories(directory);
    write_file_atomic(directory / step_.op.script->first, step_.op.script->second, Durability::Cached, 0755);
    MountSpec mount;
    mount.destination = "/dev/pipes";
    mount.type = "bind";
    mount.source = directory.native();
    mount.options = {"rbind", "ro"};
    spec.mounts.push_back(std::move(mount));
  }

  // ---- the lowest layer ----

  /// A tree of empty directories and files under everything: mounts find their points there, and the upper directory,
  /// which becomes the image's layer, stays untouched.
  fs::path make_mount_points() const {
    const fs::path root = environment_.scratch_directory() / ("points-" + std::to_string(step_.number));
    make_directories(root, 0755);
    const Fd fd = open_directory(root);
    std::vector<std::string> directories{"/proc", "/sys", "/dev"};
    directories.insert(directories.end(), mounts_.directory_targets().begin(), mounts_.directory_targets().end());
    for (const std::string& directory : directories) make_directories_in_root(fd.get(), directory);
    // A tmpfs takes the mode of what it covers; where the image has nothing there, it is everybody's.
    for (const std::string& target : mounts_.tmpfs_targets()) {
      const Fd at = open_in_root(fd.get(), target, O_RDONLY | O_DIRECTORY);
      check(::fchmod(at.get(), 01777), "chmod", target);
    }
    std::vector<std::string> files = file_targets_;
    files.insert(files.end(), mounts_.file_targets().begin(), mounts_.file_targets().end());
    for (const std::string& file : files) {
      if (file.starts_with("/dev/") || file.starts_with("/proc/") || file.starts_with("/sys/")) continue;
      make_directories_in_root(fd.get(), fs::path(file).parent_path());
      open_in_root(fd.get(), file, O_WRONLY | O_CREAT, 0644);
    }
    return root;
  }

  RunEnvironment& environment_;
  const RunStep& step_;
  Time step_time_;
  RunMounts mounts_;
  std::vector<std::string> file_targets_;
  bool is_overlay_;
  bool is_out_of_memory_ = false;
};

}  // namespace

MadeLayer execute_run(RunEnvironment& environment, const RunStep& step, Time step_time) {
  if (const std::string& reason = no_containers_reason(); !reason.empty()) {
    if (!step.op.mounts.empty()) throw Error(ErrorKind::Denied, "RUN --mount needs a container: " + reason);
    if (environment.request().on_failure == FailureAction::Shell)
      throw Error(ErrorKind::Denied, "--on-failure=shell needs a container: " + reason);
  }
  return RunExecution(environment, step, step_time).run();
}

}  // namespace ctr
