#include "runtime/id_map.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/error.h"
#include "base/process.h"
#include "base/text.h"
#include "base/user_namespace.h"

namespace ctr {

namespace {

std::string map_text(const std::vector<IdMapping>& mappings) {
  std::string text;
  for (const IdMapping& one : mappings) {
    text +=
        std::to_string(one.container_id) + " " + std::to_string(one.host_id) + " " + std::to_string(one.size) + "\n";
  }
  return text;
}

void run_map_helper(const std::string& helper, pid_t pid, const std::vector<IdMapping>& mappings) {
  Command command{.argv = {helper, std::to_string(pid)}, .env = {}, .cwd = {}, .passed_fds = {}};
  for (const IdMapping& one : mappings) {
    command.argv.insert(command.argv.end(),
                        {std::to_string(one.container_id), std::to_string(one.host_id), std::to_string(one.size)});
  }
  const CommandOutput output = run_command(command);
  if (output.status.success()) return;
  throw Error(ErrorKind::Denied, helper + " failed: " + std::string(trim(output.standard_error)) + " (does /etc/sub" +
                                     (helper == "newuidmap" ? "uid" : "gid") + " give this user a range?)");
}

void write_map(pid_t pid, const char* name, const std::vector<IdMapping>& mappings) {
  write_control_file("/proc/" + std::to_string(pid) + "/" + name, map_text(mappings));
}

bool is_single_own_id(const std::vector<IdMapping>& mappings, std::uint32_t own) {
  return mappings.size() == 1 && mappings[0].size == 1 && mappings[0].host_id == own;
}

constexpr int kCapSetgid = 6;
constexpr int kCapSetuid = 7;

}  // namespace

std::optional<std::uint32_t> map_to_host(const std::vector<IdMapping>& mappings, std::uint32_t id) {
  for (const IdMapping& one : mappings) {
    if (id >= one.container_id && id - one.container_id < one.size) return one.host_id + (id - one.container_id);
  }
  return std::nullopt;
}

MapRights own_map_rights() {
  if (has_capability(kCapSetuid) && has_capability(kCapSetgid)) return MapRights::Full;
  return find_program("newuidmap") && find_program("newgidmap") ? MapRights::Helper : MapRights::SingleId;
}

bool write_id_maps(pid_t pid, const std::vector<IdMapping>& uids, const std::vector<IdMapping>& gids) {
  if (own_map_rights() == MapRights::Full) {
    write_map(pid, "uid_map", uids);
    write_map(pid, "gid_map", gids);
    return true;
  }
  if (is_single_own_id(uids, ::geteuid()) && is_single_own_id(gids, ::getegid())) {
    write_control_file("/proc/" + std::to_string(pid) + "/setgroups", "deny");
    write_map(pid, "uid_map", uids);
    write_map(pid, "gid_map", gids);
    return false;
  }
  run_map_helper("newuidmap", pid, uids);
  run_map_helper("newgidmap", pid, gids);
  return true;
}

Fd make_mapping_namespace(const std::vector<IdMapping>& uids, const std::vector<IdMapping>& gids) {
  const Pipe pipe = make_pipe();
  // A bare process that only holds the namespace: it waits for our end of the pipe to close.
  const long pid = ::syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  check(pid, "make a user namespace");
  if (pid == 0) {
    char byte;
    ::syscall(SYS_close, pipe.write.get());
    ::syscall(SYS_read, pipe.read.get(), &byte, 1);
    ::_exit(0);
  }
  struct Reaper {
    pid_t pid;
    ~Reaper() {
      ::kill(pid, SIGKILL);
      while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
      }
    }
  } reaper{static_cast<pid_t>(pid)};
  write_id_maps(reaper.pid, uids, gids);
  return open_file("/proc/" + std::to_string(pid) + "/ns/user", O_RDONLY);
}

}  // namespace ctr
