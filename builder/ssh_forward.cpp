#include "builder/ssh_forward.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "base/text.h"

namespace ctr {

namespace {

constexpr std::size_t kMaxConnections = 64;
constexpr std::size_t kBufferSize = 16 * 1024;
constexpr std::uint64_t kOutputLimit = 64 * 1024;

/// A socket's address holds only 108 bytes: it is reached through a descriptor of its directory.
::sockaddr_un address_of(int directory, const std::string& name) {
  ::sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const std::string path = "/proc/self/fd/" + std::to_string(directory) + "/" + name;
  if (path.size() >= sizeof address.sun_path) throw Error(ErrorKind::Invalid, "the name of socket " + name + " is too long");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

Fd new_socket() { return Fd(check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "make a socket")); }

Fd connect_to(const fs::path& path) {
  const Fd directory = open_directory(path.parent_path());
  const ::sockaddr_un address = address_of(directory.get(), path.filename());
  Fd fd = new_socket();
  check(::connect(fd.get(), reinterpret_cast<const ::sockaddr*>(&address), sizeof address), "connect to the ssh agent", path);
  return fd;
}

/// False at the end of the stream, or if either side is gone.
bool pass_on(int from, int to) {
  char buffer[kBufferSize];
  const ssize_t count = ::read(from, buffer, sizeof buffer);
  if (count < 0) return errno == EINTR;
  for (ssize_t sent = 0; sent < count;) {
    const ssize_t now = ::send(to, buffer + sent, static_cast<std::size_t>(count - sent), MSG_NOSIGNAL);
    if (now < 0 && errno != EINTR) return false;
    if (now > 0) sent += now;
  }
  return count > 0;
}

void need_program(const char* name) {
  if (!find_program(name))
    throw Error(ErrorKind::Unavailable,
                "--ssh with a key file needs " + std::string(name) + ", which is not installed (Debian's package is openssh-client)");
}

}  // namespace

KeyAgent::KeyAgent(const fs::path& directory, const std::vector<std::string>& keys) : socket_(directory / "agent") {
  need_program("ssh-agent");
  need_program("ssh-add");
  make_directories(directory, 0700);
  // The agent ends with its command, and the command with our end of its input: nothing stays if we are killed. A
  // command that runs says that the socket is there. Its name is short because its directory is the working directory.
  Pipe input = make_pipe();
  Pipe output = make_pipe();
  Command agent{.argv = {"ssh-agent", "-a", "agent", "sh", "-c", "echo $SSH_AGENT_PID; exec cat >/dev/null"}, .env = {}, .cwd = directory};
  agent.standard_in = input.read.get();
  agent.standard_out = output.write.get();
  agent.standard_error = -1;
  process_ = std::make_unique<ChildProcess>(spawn(agent));
  output.write.reset();
  alive_ = std::move(input.write);
  FdSource answer(output.read.get());
  StringSink text;
  copy_all(answer, text, kOutputLimit);
  const auto pid = parse_uint(trim(std::move(text).take()));
  if (!pid || *pid == 0) throw Error(ErrorKind::Unavailable, "ssh-agent did not start");
  agent_pid_ = static_cast<pid_t>(*pid);
  for (const std::string& key : keys) {
    const char* path = ::getenv("PATH");
    Command add{.argv = {"ssh-add", "-q", fs::absolute(key).native()}, .env = {}, .cwd = directory, .new_session = true};
    add.env = {"SSH_AUTH_SOCK=agent", "SSH_ASKPASS_REQUIRE=never", "PATH=" + std::string(path != nullptr ? path : "/usr/bin:/bin")};
    const CommandOutput added = run_command(add, {}, kOutputLimit);
    if (!added.status.success())
      throw Error(ErrorKind::Invalid, "--ssh: the key " + key + " can't be used (is it encrypted?): " +
                                          replace_all(std::string(trim(added.standard_error)), "\n", "; "));
  }
}

KeyAgent::~KeyAgent() {
  if (agent_pid_ > 0) ::kill(agent_pid_, SIGTERM);
  alive_.reset();
  try {
    if (process_) process_->wait();
  } catch (const Error&) {
    // It has ended already.
  }
}

SshForward::SshForward(const fs::path& directory, const std::string& name, fs::path agent, Access access)
    : path_(directory / name),
      agent_(std::move(agent)),
      listener_(new_socket()),
      stop_(check(::eventfd(0, EFD_CLOEXEC), "eventfd")) {
  make_directories(directory, 0755);
  const Fd at = open_directory(directory);
  const ::sockaddr_un address = address_of(at.get(), name);
  check(::bind(listener_.get(), reinterpret_cast<const ::sockaddr*>(&address), sizeof address), "make the socket", path_);
  if (access.uid != 0 || access.gid != 0) check(::lchown(path_.c_str(), access.uid, access.gid), "chown", path_);
  check(::chmod(path_.c_str(), access.mode & 07777), "chmod", path_);
  check(::listen(listener_.get(), 16), "listen at", path_);
  thread_ = std::thread([this] { serve(); });
}

SshForward::~SshForward() {
  const std::uint64_t one = 1;
  if (::write(stop_.get(), &one, sizeof one) == sizeof one) thread_.join();
  ::unlink(path_.c_str());
}

void SshForward::accept_one(std::vector<Pair>& pairs) const {
  Fd step(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (step.get() < 0 || pairs.size() >= kMaxConnections) return;
  try {
    pairs.push_back({std::move(step), connect_to(agent_)});
  } catch (const Error&) {
    // The agent is gone: the step sees a connection that ends.
  }
}

void SshForward::serve() {
  std::vector<Pair> pairs;
  for (;;) {
    std::vector<::pollfd> polled{{stop_.get(), POLLIN, 0}, {listener_.get(), POLLIN, 0}};
    for (const Pair& pair : pairs) {
      polled.push_back({pair.step.get(), POLLIN, 0});
      polled.push_back({pair.agent.get(), POLLIN, 0});
    }
    if (::poll(polled.data(), polled.size(), -1) < 0 && errno != EINTR) return;
    if (polled[0].revents != 0) return;
    std::vector<Pair> kept;
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      bool is_open = true;
      if (polled[2 + 2 * i].revents != 0) is_open = pass_on(pairs[i].step.get(), pairs[i].agent.get());
      if (is_open && polled[3 + 2 * i].revents != 0) is_open = pass_on(pairs[i].agent.get(), pairs[i].step.get());
      if (is_open) kept.push_back(std::move(pairs[i]));
    }
    pairs = std::move(kept);
    if (polled[1].revents != 0) accept_one(pairs);
  }
}

}  // namespace ctr
