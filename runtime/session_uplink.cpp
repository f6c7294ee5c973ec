#include "runtime/session_uplink.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <csignal>

#include "base/error.h"
#include "base/lock.h"
#include "base/process.h"
#include "base/text.h"
#include "runtime/bridge_namespace.h"
#include "runtime/network_links.h"
#include "runtime/user_session.h"

namespace ctr {
namespace {

// Addresses that no network has: pasta's is link-local, slirp4netns' its own.
constexpr const char* kPastaNameServer = "169.254.1.1";
constexpr const char* kSlirpNameServer = "10.0.2.3";
// What both make their interface with.
constexpr const char* kTunnel = "/dev/net/tun";
constexpr int kLoopback = 1;  // the first interface of every namespace
constexpr int kReadyPatienceMs = 10'000;

fs::path pid_file(const Paths& paths, const char* program) {
  return session_directory(paths) / (std::string(program) + ".pid");
}

bool runs(const Paths& paths, const char* program) {
  const auto text = find_file(pid_file(paths, program), 64);
  const auto pid = text ? parse_int(trim(*text)) : std::nullopt;
  return pid && *pid > 1 && path_exists("/proc/" + std::to_string(*pid));
}

/// Goes to the background by itself when everything is set up. Throws what it said when it can't.
void start_pasta(const Paths& paths, const fs::path& network) {
  // No ports: the shims forward them. No way to the host's loopback: what listens there is not for containers.
  Command command{.argv = {"pasta", "--config-net", "--quiet", "-t", "none", "-u", "none", "-T", "none", "-U", "none",
                           "--no-map-gw", "--dns-forward", kPastaNameServer, "--pid",
                           pid_file(paths, "pasta").native(), "--netns-only", "--netns", network.native()},
                  .env = {},
                  .cwd = "/",
                  .passed_fds = {},
                  .new_session = true};
  // Its background process would keep a pipe open for ever: what it says goes to a file.
  const fs::path log = session_directory(paths) / "pasta.log";
  const Fd output = open_file(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  command.standard_out = output.get();
  command.standard_error = output.get();
  ChildProcess child = spawn(command);
  if (child.wait().success()) return;
  const std::vector<std::string> lines = split(std::string(trim(read_file(log))), '\n');
  throw Error(ErrorKind::Unavailable, "pasta failed: " + lines.back());
}

void start_slirp(const Paths& paths, const fs::path& network) {
  Pipe ready = make_pipe();
  const fs::path log = session_directory(paths) / "slirp4netns.log";
  const Fd output = open_file(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  Command command{.argv = {"slirp4netns", "--configure", "--mtu=65520", "--disable-host-loopback", "--ready-fd=3",
                           "--netns-type=path", network.native(), "tap0"},
                  .env = {},
                  .cwd = "/",
                  .standard_out = output.get(),
                  .standard_error = output.get(),
                  .passed_fds = {{ready.write.get(), 3}},
                  .new_session = true};
  ChildProcess child = spawn(command);
  ready.write.reset();
  write_file_atomic(pid_file(paths, "slirp4netns"), std::to_string(child.pid()) + "\n", Durability::Cached, 0600);
  pollfd waiting{ready.read.get(), POLLIN, 0};
  char byte = 0;
  if (::poll(&waiting, 1, kReadyPatienceMs) == 1 && ::read(ready.read.get(), &byte, 1) == 1) return;
  child.kill(SIGKILL);
  child.wait();
  ::unlink(pid_file(paths, "slirp4netns").c_str());
  const std::vector<std::string> lines = split(std::string(trim(read_file(log))), '\n');
  throw Error(ErrorKind::Unavailable, "slirp4netns failed: " + lines.back());
}

/// The reasons why neither runs, or empty.
std::string start_one(const Paths& paths, const fs::path& network) {
  std::string reasons;
  const auto attempt = [&](const char* program, auto&& start) {
    if (!find_program(program)) return false;
    try {
      start(paths, network);
      return true;
    } catch (const Error& error) {
      reasons += (reasons.empty() ? "" : "; ") + std::string(error.what());
      return false;
    }
  };
  if (::access(kTunnel, R_OK | W_OK) != 0) {
    return std::string(kTunnel) + " cannot be opened by this user; as root: chmod 666 " + kTunnel;
  }
  if (attempt("pasta", start_pasta) || attempt("slirp4netns", start_slirp)) return {};
  if (reasons.empty()) reasons = "neither pasta nor slirp4netns is installed (packages passt, slirp4netns)";
  return reasons;
}

/// True the first time that it is to be said in the life of this session.
bool is_news(const Paths& paths) {
  try {
    create_file_exclusive(session_directory(paths) / "told-uplink", "", Durability::Cached);
    return true;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Exists) throw;
    return false;
  }
}

}  // namespace

std::optional<std::string> session_name_server(const Paths& paths) {
  if (runs(paths, "pasta")) return kPastaNameServer;
  if (runs(paths, "slirp4netns")) return kSlirpNameServer;
  return std::nullopt;
}

std::optional<SessionUplink> connect_session(const Paths& paths) {
  const std::optional<fs::path> network = session_network(paths);
  if (!network) return std::nullopt;
  SessionUplink uplink;
  const FileLock lock = FileLock::acquire(session_directory(paths) / "uplink", LockMode::Exclusive);
  uplink.name_server = session_name_server(paths);
  if (uplink.name_server) return uplink;
  in_bridge_namespace(paths, [] { NetworkLinks().set_up(kLoopback); });
  const std::string reasons = start_one(paths, *network);
  uplink.name_server = session_name_server(paths);
  if (!reasons.empty() && is_news(paths)) uplink.warning = "containers reach only each other: " + reasons;
  return uplink;
}

}  // namespace ctr
