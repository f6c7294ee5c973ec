#include "base/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "base/text.h"

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

namespace ctr {

ExitStatus exit_status_of(int wait_status) noexcept {
  if (WIFSIGNALED(wait_status)) return {0, WTERMSIG(wait_status)};
  return {WEXITSTATUS(wait_status), 0};
}

void ChildProcess::kill(int signal) const {
  if (::syscall(SYS_pidfd_send_signal, pidfd_.get(), signal, nullptr, 0) != 0 && errno != ESRCH) {
    throw_errno(errno, "signal process", std::to_string(pid_));
  }
}

ExitStatus ChildProcess::wait() {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0) {
    if (errno != EINTR) throw_errno(errno, "wait for process", std::to_string(pid_));
  }
  return exit_status_of(status);
}

std::optional<fs::path> find_program(std::string_view name) {
  const auto is_executable = [](const fs::path& path) {
    return ::faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) == 0 && fs::is_regular_file(path);
  };
  if (name.find('/') != std::string_view::npos) {
    return is_executable(name) ? std::optional<fs::path>(name) : std::nullopt;
  }
  const char* path = std::getenv("PATH");
  for (const std::string& directory : split(path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin", ':')) {
    const fs::path candidate = fs::path(directory.empty() ? "." : directory) / name;
    if (is_executable(candidate)) return candidate;
  }
  return std::nullopt;
}

std::vector<char*> exec_array(const std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (const std::string& text : texts) result.push_back(const_cast<char*>(text.c_str()));
  result.push_back(nullptr);
  return result;
}

namespace {

/// Everything that the child needs, made before the fork.
struct SpawnPlan {
  std::string program;
  std::vector<char*> argv;
  std::vector<char*> envp;
  const char* cwd = nullptr;
  std::vector<std::pair<int, int>> fds;  // own descriptor -> number in the child
  bool new_session = false;
};

/// Between vfork and exec: only system calls. Returns an errno.
int become(const SpawnPlan& plan) {
  if (plan.new_session) ::setsid();
  struct sigaction action = {};
  for (int signal = 1; signal < 65; ++signal) ::sigaction(signal, &action, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (plan.cwd != nullptr && ::chdir(plan.cwd) != 0) return errno;
  // Up out of the way first, so that no target number overwrites a source that is still needed.
  constexpr int kMax = 64;
  int moved[kMax];
  const std::size_t count = std::min<std::size_t>(plan.fds.size(), kMax);
  for (std::size_t i = 0; i < count; ++i) {
    moved[i] = ::fcntl(plan.fds[i].first, F_DUPFD_CLOEXEC, 256);
    if (moved[i] < 0) return errno;
  }
  // What the caller inherited without close-on-exec stays with the caller. (Linux 5.10 marks them one by one.)
  if (::syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC) != 0) {
    for (int fd = 3; fd < 1024; ++fd) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (::dup2(moved[i], plan.fds[i].second) < 0) return errno;
  }
  ::execve(plan.program.c_str(), plan.argv.data(), plan.envp.data());
  return errno;
}

/// In a function of its own, so that no other variable lives in a register across vfork. Returns what vfork does;
/// `failure` is the child's errno if the program could not be executed.
[[gnu::noinline]] pid_t start_child(const SpawnPlan& plan, volatile int& failure) {
  const pid_t pid = ::vfork();
  if (pid == 0) {
    failure = become(plan);
    ::_exit(127);
  }
  return pid;
}

}  // namespace

ChildProcess spawn(const Command& command) {
  if (command.argv.empty()) throw Error(ErrorKind::Invalid, "no program to start");
  const std::optional<fs::path> program = find_program(command.argv.front());
  if (!program) throw Error(ErrorKind::NotFound, "program " + command.argv.front() + " not found", ENOENT);

  SpawnPlan plan;
  plan.program = program->native();
  plan.argv = exec_array(command.argv);
  if (command.env) {
    plan.envp = exec_array(*command.env);
  } else {
    for (char** entry = environ; *entry != nullptr; ++entry) plan.envp.push_back(*entry);
    plan.envp.push_back(nullptr);
  }
  if (!command.cwd.empty()) plan.cwd = command.cwd.c_str();
  plan.new_session = command.new_session;
  Fd null;
  const int streams[] = {command.standard_in, command.standard_out, command.standard_error};
  for (int number = 0; number < 3; ++number) {
    if (streams[number] == -1 && !null) null = open_file("/dev/null", O_RDWR);
    plan.fds.emplace_back(streams[number] == -1 ? null.get() : streams[number] == -2 ? number : streams[number], number);
  }
  plan.fds.insert(plan.fds.end(), command.passed_fds.begin(), command.passed_fds.end());

  // vfork: the child borrows this memory until it has executed the program; signals wait meanwhile.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  volatile int failure = 0;
  const pid_t pid = start_child(plan, failure);
  const int error = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) throw_errno(error, "start", plan.program);
  if (failure != 0) {
    ::waitpid(pid, nullptr, 0);
    throw_errno(failure, "start", plan.program);
  }
  return ChildProcess(pid, Fd(check(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)), "pidfd_open")));
}

CommandOutput run_command(Command command, std::string_view input, std::uint64_t limit) {
  Pipe in = make_pipe();
  Pipe out = make_pipe();
  Pipe err = make_pipe();
  command.standard_in = in.read.get();
  command.standard_out = out.write.get();
  command.standard_error = err.write.get();
  ChildProcess child = spawn(command);
  in.read.reset();
  out.write.reset();
  err.write.reset();

  // A child that closes its input early must not end us.
  struct sigaction ignore = {};
  struct sigaction before = {};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &ignore, &before);
  check(::fcntl(in.write.get(), F_SETFL, O_NONBLOCK), "set a pipe non-blocking");
  CommandOutput result;
  if (input.empty()) in.write.reset();
  while (out.read || err.read) {
    pollfd events[3] = {{in.write.get(), POLLOUT, 0}, {out.read.get(), POLLIN, 0}, {err.read.get(), POLLIN, 0}};
    if (::poll(events, 3, -1) < 0 && errno != EINTR) throw_errno(errno, "poll");
    if (in.write && events[0].revents != 0) {
      const ssize_t count = ::write(in.write.get(), input.data(), input.size());
      if (count > 0) input.remove_prefix(static_cast<std::size_t>(count));
      if (input.empty() || (count < 0 && errno != EAGAIN && errno != EINTR)) in.write.reset();
    }
    const auto drain = [&](Fd& fd, const pollfd& event, std::string& text) {
      if (!fd || event.revents == 0) return;
      char buffer[16384];
      const ssize_t count = ::read(fd.get(), buffer, sizeof buffer);
      if (count < 0 && errno == EINTR) return;
      if (count <= 0) {
        fd.reset();
        return;
      }
      const auto room = static_cast<std::size_t>(limit - text.size());
      text.append(buffer, std::min(static_cast<std::size_t>(count), room));
    };
    drain(out.read, events[1], result.standard_out);
    drain(err.read, events[2], result.standard_error);
  }
  in.write.reset();
  result.status = child.wait();
  ::sigaction(SIGPIPE, &before, nullptr);
  return result;
}

fs::path own_program_directory() {
  // Executed from a detached mount, a program has no path; who did that says where the file is.
  const char* named = std::getenv(kOwnProgramVariable);
  struct stat there {};
  struct stat own {};
  if (named != nullptr && ::stat(named, &there) == 0 && ::stat("/proc/self/exe", &own) == 0 &&
      there.st_dev == own.st_dev && there.st_ino == own.st_ino) {
    return fs::path(named).parent_path();
  }
  const std::string link = find_link("/proc/self/exe").value_or("");
  if (named != nullptr && link.starts_with("/memfd:")) return fs::path(named).parent_path();
  // Read once: in another mount namespace, which a process may join later, the link no longer leads here.
  static const std::optional<std::string> program = find_link("/proc/self/exe");
  if (!program) throw Error(ErrorKind::NotFound, "/proc/self/exe cannot be read: is /proc mounted");
  return fs::path(*program).parent_path();
}

fs::path own_companion(std::string_view name) {
  const fs::path here = own_program_directory();
  for (const fs::path& candidate : {here / name, here.parent_path() / "libexec/ctr" / name}) {
    if (::access(candidate.c_str(), R_OK) == 0) return candidate;
  }
  throw Error(ErrorKind::NotFound, std::string(name) + " is neither in " + here.native() + " nor in " +
                                       (here.parent_path() / "libexec/ctr").native() + ": is ctr installed completely");
}

namespace {

struct SignalName {
  int number;
  const char* name;
};
constexpr SignalName kSignals[] = {
    {SIGHUP, "HUP"},   {SIGINT, "INT"},       {SIGQUIT, "QUIT"}, {SIGILL, "ILL"},     {SIGTRAP, "TRAP"},
    {SIGABRT, "ABRT"}, {SIGBUS, "BUS"},       {SIGFPE, "FPE"},   {SIGKILL, "KILL"},   {SIGUSR1, "USR1"},
    {SIGSEGV, "SEGV"}, {SIGUSR2, "USR2"},     {SIGPIPE, "PIPE"}, {SIGALRM, "ALRM"},   {SIGTERM, "TERM"},
    {16, "STKFLT"},    {SIGCHLD, "CHLD"},     {SIGCONT, "CONT"}, {SIGSTOP, "STOP"},   {SIGTSTP, "TSTP"},
    {SIGTTIN, "TTIN"}, {SIGTTOU, "TTOU"},     {SIGURG, "URG"},   {SIGXCPU, "XCPU"},   {SIGXFSZ, "XFSZ"},
    {SIGVTALRM, "VTALRM"}, {SIGPROF, "PROF"}, {SIGWINCH, "WINCH"}, {SIGIO, "IO"},     {SIGPWR, "PWR"},
    {SIGSYS, "SYS"},   {SIGIO, "POLL"},       {SIGABRT, "IOT"},  {SIGCHLD, "CLD"}};
// The kernel's numbers: libc keeps the first two for itself, containers do not.
constexpr int kFirstRealTime = 34;
constexpr int kLastRealTime = 64;

}  // namespace

std::optional<int> parse_signal(std::string_view text) {
  if (const auto number = parse_int(text)) {
    return *number >= 1 && *number <= kLastRealTime ? std::optional(static_cast<int>(*number)) : std::nullopt;
  }
  const std::string word = upper(text);
  const std::string_view name = without_prefix(word, "SIG");
  for (const SignalName& signal : kSignals) {
    if (name == signal.name) return signal.number;
  }
  const auto real_time = [&](std::string_view base, int start, int direction) -> std::optional<int> {
    if (!name.starts_with(base)) return std::nullopt;
    std::string_view rest = name.substr(base.size());
    if (rest.empty()) return start;
    if (rest.front() != (direction > 0 ? '+' : '-')) return std::nullopt;
    const auto offset = parse_uint(rest.substr(1));
    if (!offset || *offset > kLastRealTime - kFirstRealTime) return std::nullopt;
    return start + direction * static_cast<int>(*offset);
  };
  if (const auto number = real_time("RTMIN", kFirstRealTime, 1)) return number;
  return real_time("RTMAX", kLastRealTime, -1);
}

std::string signal_name(int signal) {
  for (const SignalName& known : kSignals) {
    if (known.number == signal) return std::string("SIG") + known.name;
  }
  if (signal == kFirstRealTime) return "SIGRTMIN";
  if (signal == kLastRealTime) return "SIGRTMAX";
  if (signal > kFirstRealTime && signal < kLastRealTime) return "SIGRTMIN+" + std::to_string(signal - kFirstRealTime);
  return std::to_string(signal);
}

}  // namespace ctr
