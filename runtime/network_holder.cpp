#include "runtime/network_holder.h"

#include <fcntl.h>

#include <optional>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace ctr {
namespace {

constexpr std::uint64_t kLongestTable = 64 * kMiB;

std::string claim_holder(const Paths& paths, const PublishedPort& port) {
  const fs::path claims = paths.run / "networks" / ".ports" /
                          (std::string(protocol_name(port.container.protocol)) + "-" + std::to_string(port.host_port));
  for (const std::string& address : list_directory(claims)) {
    if (const auto holder = find_link(claims / address)) return *holder;
  }
  return {};
}

/// Inodes of the sockets that have the port, from /proc/net/tcp and its like; for TCP only those that listen.
std::set<std::string> socket_inodes(Protocol protocol, std::uint16_t port) {
  constexpr const char* kListening = "0A";
  std::set<std::string> inodes;
  const std::string name(protocol_name(protocol));
  for (const std::string& table : {"/proc/net/" + name, "/proc/net/" + name + "6"}) {
    const std::optional<std::string> text = find_file(table, kLongestTable);
    if (!text) continue;
    for (const std::string& line : split(*text, '\n')) {
      const std::vector<std::string> words = split_words(line);
      if (words.size() < 10 || (protocol == Protocol::Tcp && words[3] != kListening)) continue;
      const auto local = cut(words[1], ':');
      if (local && parse_uint(local->second, 16) == port) inodes.insert("socket:[" + words[9] + "]");
    }
  }
  return inodes;
}

bool has_socket(const fs::path& process, const std::set<std::string>& inodes) {
  for (const std::string& fd : list_directory(process / "fd")) {
    const std::optional<std::string> target = find_link(process / "fd" / fd);
    if (target && inodes.contains(*target)) return true;
  }
  return false;
}

std::string process_holder(Protocol protocol, std::uint16_t port) {
  const std::set<std::string> inodes = socket_inodes(protocol, port);
  if (inodes.empty()) return {};
  for (const std::string& pid : list_directory("/proc")) {
    if (!parse_uint(pid)) continue;
    try {
      const fs::path process = fs::path("/proc") / pid;
      if (!has_socket(process, inodes)) continue;
      return "process " + pid + " (" + std::string(trim(find_file(process / "comm", 4096).value_or(""))) + ")";
    } catch (const Error&) {
      // It ended, or is not ours to look at.
    }
  }
  return "another process";
}

}  // namespace

std::string port_holder(const Paths& paths, const PublishedPort& port) {
  const std::string container = claim_holder(paths, port);
  if (!container.empty()) return "container " + container.substr(0, 12);
  return process_holder(port.container.protocol, port.host_port);
}

}  // namespace ctr
