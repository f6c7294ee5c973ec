#include "runtime/user_session.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "base/error.h"
#include "base/lock.h"
#include "base/process.h"
#include "base/text.h"
#include "base/user_namespace.h"
#include "runtime/capabilities.h"
#include "runtime/id_map.h"
#include "runtime/user_refusals.h"

namespace ctr {
namespace {

constexpr std::uint32_t kAllIds = 4294967295;

fs::path lock_file(const Paths& paths) { return session_directory(paths) / "lock"; }
fs::path network_file(const Paths& paths) { return session_directory(paths) / "net"; }
fs::path holder_file(const Paths& paths) { return session_directory(paths) / "holder"; }

/// Field 22 of /proc/<pid>/stat: a pid alone could be another's by now. Nothing if the process is gone.
std::optional<std::string> start_time(pid_t pid) {
  const auto stat = find_file("/proc/" + std::to_string(pid) + "/stat", 4096);
  if (!stat || stat->rfind(')') == std::string::npos) return std::nullopt;
  const std::vector<std::string> fields = split_words(std::string_view(*stat).substr(stat->rfind(')') + 1));
  constexpr std::size_t kStartTime = 22 - 3;
  if (fields.size() <= kStartTime || fields[0] == "Z") return std::nullopt;
  return fields[kStartTime];
}

std::optional<pid_t> find_holder(const Paths& paths) {
  const auto text = find_file(holder_file(paths), 256);
  if (!text) return std::nullopt;
  const std::vector<std::string> words = split_words(*text);
  const auto pid = words.size() == 2 ? parse_int(words[0]) : std::nullopt;
  if (!pid || start_time(static_cast<pid_t>(*pid)) != words[1]) return std::nullopt;
  return static_cast<pid_t>(*pid);
}

/// What others could have prepared for us in a directory that everybody may write to.
void check_run_directory(const fs::path& directory) {
  make_directories(directory, 0700);
  struct stat info {};
  check(::lstat(directory.c_str(), &info), "stat", directory);
  const bool is_safe = S_ISDIR(info.st_mode) && info.st_uid == ::geteuid() && (info.st_mode & 022) == 0;
  if (is_safe) return;
  throw Error(ErrorKind::Denied, directory.native() + " is not a directory that only user " +
                                     std::to_string(::geteuid()) + " can write to: remove it, or set XDG_RUNTIME_DIR to a "
                                     "directory of your own");
}

struct IdMaps {
  std::vector<IdMapping> uids;
  std::vector<IdMapping> gids;
};

std::vector<IdMapping> with_ranges(std::uint32_t own, const std::vector<SubordinateRange>& ranges) {
  std::vector<IdMapping> maps = {{0, own, 1}};
  std::uint32_t next = 1;
  for (const SubordinateRange& range : ranges) {
    maps.push_back({next, range.first, range.count});
    next += range.count;
  }
  return maps;
}

IdMaps choose_maps() {
  if (::geteuid() == 0) {
    // In two parts, so that nobody takes it for the first user namespace's map.
    const std::vector<IdMapping> all = {{0, 0, 1}, {1, 1, kAllIds - 1}};
    if (own_map_rights() == MapRights::Full) return {all, all};
    return {{{0, 0, 1}}, {{0, ::getegid(), 1}}};
  }
  const SubordinateIds ids = subordinate_ids(::geteuid());
  if (!single_id_reason().empty()) return {{{0, ::geteuid(), 1}}, {{0, ::getegid(), 1}}};
  return {with_ranges(::geteuid(), ids.uids), with_ranges(::getegid(), ids.gids)};
}

/// What the child of make_session reports: the errno of the step that failed.
struct ChildReport {
  int error = 0;
  const char* step = "";
};

/// In the child: becomes the holder. Only system calls, and nothing that must be undone.
[[noreturn]] void become_holder(int report, int go, const char* program, const char* lock, const char* network) {
  ChildReport answer;
  const auto tell = [&] { return ::write(report, &answer, sizeof answer) == sizeof answer; };
  const auto give_up = [&](const char* step) {
    answer = {errno, step};
    tell();
    ::_exit(1);
  };
  if (::unshare(CLONE_NEWUSER) != 0) give_up("make a user namespace");
  char byte = 0;
  if (!tell() || ::read(go, &byte, 1) != 1) ::_exit(1);
  if (::setresgid(0, 0, 0) != 0 || ::setresuid(0, 0, 0) != 0) give_up("become root in a user namespace");
  if (::unshare(CLONE_NEWNS | CLONE_NEWNET) != 0) give_up("make mount and network namespaces in a user namespace");
  if (::mount(nullptr, "/", nullptr, MS_SLAVE | MS_REC, nullptr) != 0) give_up("mount in a user namespace");
  // By a path, because not everybody who needs it may look into this process.
  if (::mount("/proc/self/ns/net", network, nullptr, MS_BIND, nullptr) != 0) give_up("keep a network namespace");
  ::setsid();
  if (::chdir("/") != 0) give_up("enter /");
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int stream = 0; stream < 3 && null >= 0; ++stream) ::dup2(null, stream);
  // The report ends when the holder is executed.
  ::execl(program, program, "hold", lock, nullptr);
  give_up("start ctr-shim");
  ::_exit(1);
}

[[noreturn]] void throw_refusal(const ChildReport& report) {
  throw Error(ErrorKind::Denied, why_no_user_namespace(report.step, report.error), report.error);
}

ChildReport read_report(int fd) {
  ChildReport report;
  ssize_t count = 0;
  do {
    count = ::read(fd, &report, sizeof report);
  } while (count < 0 && errno == EINTR);
  if (count == 0) return {0, "end"};
  if (count != sizeof report) return {EIO, "make a user namespace"};
  return report;
}

/// Makes the namespaces and their holder. REQUIRES: the making lock, and one thread.
pid_t make_session(const Paths& paths) {
  const IdMaps maps = choose_maps();
  const fs::path program = own_companion("ctr-shim");
  const fs::path lock = lock_file(paths);
  const fs::path network = network_file(paths);
  open_file(network, O_RDONLY | O_CREAT, 0444);
  Pipe report = make_pipe();
  Pipe go = make_pipe();
  const pid_t pid = check(::fork(), "fork");
  if (pid == 0) {
    go.write.reset();
    report.read.reset();
    become_holder(report.write.get(), go.read.get(), program.c_str(), lock.c_str(), network.c_str());
  }
  report.write.reset();
  try {
    if (const ChildReport first = read_report(report.read.get()); first.error != 0) throw_refusal(first);
    write_id_maps(pid, maps.uids, maps.gids);
    check(::write(go.write.get(), "g", 1), "tell the holder");
    if (const ChildReport last = read_report(report.read.get()); last.error != 0) throw_refusal(last);
  } catch (...) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    throw;
  }
  write_file_atomic(holder_file(paths), std::to_string(pid) + " " + start_time(pid).value_or("0") + "\n",
                    Durability::Cached, 0600);
  return pid;
}

pid_t find_or_make_holder(const Paths& paths) {
  if (const auto pid = find_holder(paths)) return *pid;
  const FileLock making = FileLock::acquire(session_directory(paths) / "making", LockMode::Exclusive);
  if (const auto pid = find_holder(paths)) return *pid;
  return make_session(paths);
}

/// In the place of one that was killed just now.
pid_t renew_holder(const Paths& paths, pid_t dead) {
  const FileLock making = FileLock::acquire(session_directory(paths) / "making", LockMode::Exclusive);
  if (const auto pid = find_holder(paths); pid && *pid != dead) return *pid;
  return make_session(paths);
}

/// The caller's directory is the same in the session's mounts, unless somebody mounts something there meanwhile.
class WorkingDirectory {
 public:
  WorkingDirectory() {
    std::error_code gone;
    path_ = fs::current_path(gone);
  }
  void restore() const {
    if (path_.empty() || ::chdir(path_.c_str()) == 0) return;
    throw_errno(errno, "return to", path_.native());
  }

 private:
  fs::path path_;
};

void join(pid_t holder) {
  const Fd pidfd(check(static_cast<int>(::syscall(SYS_pidfd_open, holder, 0)), "open the session's holder"));
  const WorkingDirectory here;
  check(::setns(pidfd.get(), CLONE_NEWUSER | CLONE_NEWNS), "join the user's namespaces");
  check(::setresgid(0, 0, 0), "become root in the user's namespace");
  check(::setresuid(0, 0, 0), "become root in the user's namespace");
  // Changing ids made this process undumpable, so that its files in /proc belonged to a root that is not ours.
  check(::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), "open /proc/self again");
  here.restore();
}

void join_session(const Paths& paths) {
  const pid_t holder = find_or_make_holder(paths);
  try {
    join(holder);
  } catch (const Error& error) {
    if (error.error_number() != ESRCH) throw;
    join(renew_holder(paths, holder));
  }
}

/// Root with the right to mount but without one of these gets no further than half a container.
std::string rights_that_root_lacks() {
  std::string missing;
  for (const int capability : {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_KILL, CAP_SETGID, CAP_SETUID, CAP_SETPCAP}) {
    if (!has_capability(capability)) missing += (missing.empty() ? "" : ", ") + capability_name(capability);
  }
  if (missing.empty()) return {};
  return "containers need rights that this process, though it is root, lacks: " + missing;
}

/// The namespaces of a process are its own like its working directory: there is one, set before the second thread.
struct Membership {
  Fd hold;
  std::string refusal;
};

Membership& membership() {
  static Membership only;
  return only;
}

}  // namespace

fs::path session_directory(const Paths& paths) { return paths.run / "session"; }

void enter_user_session(const Paths& paths) {
  Membership& session = membership();
  if (is_user_session()) {
    // A clean-up that a shim started: the holder may be about to go, which does not matter to who is in already.
    if (auto lock = find_at(AT_FDCWD, lock_file(paths), O_RDONLY)) {
      if (::flock(lock->get(), LOCK_SH | LOCK_NB) == 0) session.hold = std::move(*lock);
    }
    return;
  }
  if (has_capability(CAP_SYS_ADMIN)) {
    session.refusal = rights_that_root_lacks();
    return;
  }
  check_run_directory(paths.run);
  make_directories(session_directory(paths), 0700);
  own_program_directory();  // as it is called out here
  const std::uint32_t user = ::geteuid();
  try {
    Fd lock = open_file(lock_file(paths), O_RDONLY | O_CREAT, 0600);
    while (::flock(lock.get(), LOCK_SH) != 0) {
      if (errno != EINTR) throw_errno(errno, "lock", lock_file(paths).native());
    }
    join_session(paths);
    session.hold = std::move(lock);
    mark_as_user_session(user);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Denied) throw;
    session.refusal = error.what();
  }
}

int user_session_hold() { return membership().hold.get(); }

const std::string& no_containers_reason() { return membership().refusal; }

void require_containers() {
  if (!no_containers_reason().empty()) throw Error(ErrorKind::Denied, no_containers_reason());
}

std::optional<fs::path> session_network(const Paths& paths) {
  if (!is_user_session()) return std::nullopt;
  return network_file(paths);
}

std::string single_id_reason() { return why_single_id(invoking_user()); }

}  // namespace ctr
