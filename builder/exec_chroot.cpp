#include "builder/exec_chroot.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "base/error.h"
#include "base/rooted_path.h"
#include "base/text.h"
#include "base/user_namespace.h"
#include "runtime/user_lookup.h"

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

namespace ctr {

namespace {

struct DeviceNode {
  const char* path;
  unsigned major;
  unsigned minor;
};
constexpr DeviceNode kDevices[] = {{"dev/null", 1, 3},   {"dev/zero", 1, 5},    {"dev/full", 1, 7},
                                   {"dev/random", 1, 8}, {"dev/urandom", 1, 9}, {"dev/tty", 5, 0}};
constexpr const char* kSavedSuffix = ".before-step";

/// Everything that the child needs, made before the fork.
struct ChrootPlan {
  std::string root;
  std::string directory;
  std::vector<char*> arguments;
  std::vector<char*> environment;
  std::vector<std::string> candidates;
  std::vector<char*> programs;
  std::vector<gid_t> groups;
  uid_t uid = 0;
  gid_t gid = 0;
  int streams[3] = {0, 1, 2};
  int report = -1;
};

std::vector<std::string> candidates_of(const ProcessSpec& process) {
  const std::string& name = process.args.front();
  if (name.find('/') != std::string::npos) return {name};
  std::string path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  for (const std::string& entry : process.env) {
    if (entry.starts_with("PATH=")) path = entry.substr(5);
  }
  std::vector<std::string> candidates;
  for (const std::string& directory : split(path, ':')) {
    candidates.push_back((directory.empty() ? "." : directory) + "/" + name);
  }
  return candidates;
}

/// Between fork and exec in a program with threads: only system calls. Returns an errno.
int become(const ChrootPlan& plan) {
  ::setsid();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  struct sigaction action = {};
  for (int signal = 1; signal < 65; ++signal) ::sigaction(signal, &action, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (int stream = 0; stream < 3; ++stream) {
    if (::dup2(plan.streams[stream], stream) < 0) return errno;
  }
  ::syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
  if (::chroot(plan.root.c_str()) != 0 || ::chdir("/") != 0 || ::chdir(plan.directory.c_str()) != 0) return errno;
  if (::syscall(SYS_setgroups, plan.groups.size(), plan.groups.data()) != 0) return errno;
  if (::syscall(SYS_setresgid, plan.gid, plan.gid, plan.gid) != 0) return errno;
  if (::syscall(SYS_setresuid, plan.uid, plan.uid, plan.uid) != 0) return errno;
  int error = ENOENT;
  for (char* const program : plan.programs) {
    if (program == nullptr) break;
    ::execve(program, plan.arguments.data(), plan.environment.data());
    if (errno != ENOENT && errno != ENOTDIR) error = errno;
  }
  return error;
}

}  // namespace

bool can_chroot() { return ::geteuid() == 0 && has_capability(CAP_SYS_CHROOT); }

ChrootFiles::ChrootFiles(const fs::path& root, const std::string& hosts, const std::string& resolvers)
    : root_(open_directory(root)) {
  const Fd dev = make_directories_in_root(root_.get(), "dev");
  for (const DeviceNode& device : kDevices) {
    const std::string name = fs::path(device.path).filename();
    if (::mknodat(dev.get(), name.c_str(), S_IFCHR | 0666, makedev(device.major, device.minor)) != 0) continue;
    ::fchmodat(dev.get(), name.c_str(), 0666, 0);
  }
  make_directories_in_root(root_.get(), "etc");
  replace("etc/hosts", hosts);
  replace("etc/resolv.conf", resolvers);
}

void ChrootFiles::replace(const std::string& path, const std::string& content) {
  const Fd parent = open_in_root(root_.get(), fs::path(path).parent_path(), O_PATH | O_DIRECTORY);
  const std::string name = fs::path(path).filename();
  if (::renameat(parent.get(), name.c_str(), parent.get(), (name + kSavedSuffix).c_str()) == 0) {
    replaced_.push_back(path);
    paths_.push_back(path + kSavedSuffix);
  }
  const Fd file = open_at(parent.get(), name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644);
  write_all(file.get(), as_bytes(content), path);
  paths_.push_back(path);
}

ChrootFiles::~ChrootFiles() {
  for (const std::string& path : paths_) {
    if (path.ends_with(kSavedSuffix)) continue;
    try {
      const Fd parent = open_in_root(root_.get(), fs::path(path).parent_path(), O_PATH | O_DIRECTORY);
      const std::string name = fs::path(path).filename();
      remove_tree_at(parent.get(), name);
      const bool was_there = std::find(replaced_.begin(), replaced_.end(), path) != replaced_.end();
      if (was_there) ::renameat(parent.get(), (name + kSavedSuffix).c_str(), parent.get(), name.c_str());
    } catch (const Error&) {
      // The step took the directory away; its tree is thrown away soon.
    }
  }
}

ChildProcess start_in_chroot(const fs::path& root, const ProcessSpec& process, const std::string& user_text,
                             const Stdio& streams) {
  const ResolvedUser user = resolve_user(read_user_database(open_directory(root).get()), user_text, {});
  std::vector<std::string> environment = process.env;
  const auto is_home = [](const std::string& entry) { return entry.starts_with("HOME="); };
  if (std::none_of(environment.begin(), environment.end(), is_home)) environment.push_back("HOME=" + user.home);
  Pipe report = make_pipe();
  ChrootPlan plan{.root = root,
                  .directory = process.cwd.empty() ? "/" : process.cwd,
                  .arguments = exec_array(process.args),
                  .environment = exec_array(environment),
                  .candidates = candidates_of(process),
                  .programs = {},
                  .groups = {user.additional_gids.begin(), user.additional_gids.end()},
                  .uid = user.uid,
                  .gid = user.gid,
                  .streams = {streams.in, streams.out, streams.err},
                  .report = report.write.get()};
  plan.programs = exec_array(plan.candidates);
  const pid_t pid = check(::fork(), "start", process.args.front());
  if (pid == 0) {
    const int error = become(plan);
    const ssize_t told = ::write(plan.report, &error, sizeof error);
    ::_exit(told == sizeof error ? 127 : 126);
  }
  report.write.reset();
  ChildProcess child(pid, Fd(check(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)), "pidfd_open")));
  int error = 0;
  ssize_t count = 0;
  do {
    count = ::read(report.read.get(), &error, sizeof error);
  } while (count < 0 && errno == EINTR);
  if (count == 0) return child;
  child.wait();
  try {
    throw_errno(error, "execute", process.args.front());
  } catch (const Error& failure) {
    throw SandboxError(failure.kind(), failure.what(), error, error == ENOENT ? 127 : 126);
  }
}

}  // namespace ctr
