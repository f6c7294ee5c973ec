#include "tests/support/runtime_container.h"

#include <fcntl.h>
#include <sched.h>
#include <set>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/random.h"
#include "runtime/seccomp.h"
#include "runtime/spec_defaults.h"

namespace ctr {

namespace {

constexpr const char* kBusybox = "/bin/busybox";

bool can_make_namespaces() {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(::unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET) == 0 ? 0 : 1);
  int status = 0;
  ::waitpid(pid, &status, 0);
  return status == 0;
}

}  // namespace

std::string why_no_containers() {
  if (::geteuid() != 0) return "not root";
  if (!path_exists(kBusybox)) return "no /bin/busybox (package busybox-static)";
  static const bool can = can_make_namespaces();
  return can ? "" : "no right to make namespaces";
}

TestContainer::TestContainer(std::vector<std::string> args) : spec(default_spec(std::move(args))) {
  for (const char* name : {"bin", "etc", "proc", "sys", "dev", "tmp"}) make_directories(rootfs() / name);
  fs::copy_file(kBusybox, rootfs() / "bin/busybox");
  for (const char* name :
       {"sh",     "cat",   "ls",   "id",   "env",   "hostname", "mount", "stat",     "sleep", "echo", "test",  "true",
        "false",  "pwd",   "tty",  "stty", "ip",    "ps",       "kill",  "readlink", "mknod", "dd",   "touch", "grep",
        "printf", "umask", "head", "date", "chmod", "mkdir",    "ln",    "nice",     "sync",  "wc"}) {
    fs::create_symlink("busybox", rootfs() / "bin" / name);
  }
  ::chmod((rootfs() / "tmp").c_str(), 01777);
  spec.linux.seccomp.reset();
  spec.linux.cgroups_path = "/ctr-test/" + random_hex(8);
  options.id = fs::path(spec.linux.cgroups_path).filename();
  options.bundle = bundle();
}

TestContainer::~TestContainer() {
  if (!cgroup_) return;
  try {
    cgroup_->kill();
    cgroup_->remove(std::chrono::milliseconds(3000));
  } catch (const std::exception& error) {
    ::dprintf(2, "leftover cgroup: %s\n", error.what());
  }
}

const Cgroup& TestContainer::cgroup() {
  if (!cgroup_) cgroup_ = Cgroup::create(spec.linux.cgroups_path, spec.linux.resources, cgroup_policy);
  return *cgroup_;
}

void TestContainer::read_output(Fd pipe) {
  output_ = read_fd(pipe.get(), kMiB, "output");
}

Sandbox TestContainer::create() {
  if (spec.linux.seccomp && options.seccomp_filter.empty())
    options.seccomp_filter = compile_seccomp(*spec.linux.seccomp);
  const Fd null = open_file("/dev/null", O_RDWR);
  return start_sandbox(spec, spec.root.path, {null.get(), null.get(), null.get()}, &cgroup(), options);
}

ExitStatus TestContainer::run() {
  if (spec.linux.seccomp && options.seccomp_filter.empty())
    options.seccomp_filter = compile_seccomp(*spec.linux.seccomp);
  Pipe pipe = make_pipe();
  const Fd null = open_file("/dev/null", O_RDONLY);
  Sandbox sandbox =
      start_sandbox(spec, spec.root.path, {null.get(), pipe.write.get(), pipe.write.get()}, &cgroup(), options);
  pipe.write.reset();
  sandbox.start();
  if (spec.process->terminal) {
    const Fd console = sandbox.take_console();
    char buffer[4096];
    output_.clear();
    for (ssize_t size; (size = ::read(console.get(), buffer, sizeof buffer)) > 0;) {
      output_.append(buffer, static_cast<std::size_t>(size));
    }
  } else {
    read_output(std::move(pipe.read));
  }
  return sandbox.wait();
}

ExitStatus TestContainer::exec(pid_t pid, const std::vector<std::string>& args) {
  ProcessSpec process = *spec.process;
  process.args = args;
  JoinOptions join;
  join.id = options.id;
  join.seccomp_filter = options.seccomp_filter;
  return exec(pid, process, join);
}

ExitStatus TestContainer::exec(pid_t pid, const ProcessSpec& process, const JoinOptions& join) {
  Pipe pipe = make_pipe();
  const Fd null = open_file("/dev/null", O_RDONLY);
  Sandbox sandbox = exec_in(pid, process, {null.get(), pipe.write.get(), pipe.write.get()}, &cgroup(), join);
  pipe.write.reset();
  sandbox.start();
  read_output(std::move(pipe.read));
  return sandbox.wait();
}

}  // namespace ctr
