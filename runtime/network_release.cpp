// Giving back what containers hold, from what lies in $CTR_RUN alone: after a normal end, and after any crash.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <set>
#include <thread>

#include "base/error.h"
#include "base/time.h"
#include "runtime/address_pool.h"
#include "runtime/bridge_namespace.h"
#include "runtime/network_firewall.h"
#include "runtime/network_joining.h"
#include "runtime/network_members.h"
#include "runtime/network_names.h"
#include "runtime/network_namespace.h"
#include "runtime/network_owner.h"
#include "runtime/network_ports.h"

namespace ctr {
namespace {

using namespace std::chrono_literals;

// The shim starts the cleanup as its last act; it may still be there for a moment.
constexpr auto kPatience = 3s;
constexpr auto kLinger = 2s;

/// A name is a directory of addresses: every name that one address has.
void remove_all_names(const fs::path& network, const IpAddress& address, const std::string& container_id) {
  for (const std::string& name : list_directory(network / "names")) {
    remove_network_name(network, name, address, container_id);
  }
  ::unlink((network / "pointers" / address.str()).c_str());
}

void delete_interface(const Paths& paths, const std::string& container_id, const std::string& network) {
  const NetworkLinks links;
  const std::string name = host_interface_name(container_id, network);
  const std::optional<Link> link = links.find_link(name);
  if (link && (link->alias == owner_mark(paths) || link->alias.empty())) links.delete_link(name);
}

/// The record, if it can be read: what cannot is found by looking.
std::optional<ContainerNetwork> find_readable_network(const Paths& paths, const std::string& container_id) {
  try {
    return find_container_network(paths, container_id);
  } catch (const Error&) {
    return std::nullopt;
  }
}

void remove_bridge_rules(const Paths& paths, const NetworkRecord& record) {
  try {
    remove_rule_elements(paths, {{bridge_rules(record)}, {}});
    dismiss_bridge(record);
  } catch (const Error&) {
    if (!why_no_nftables()) throw;
  }
}

void retire_network(const Paths& paths, const NetworkRecord& record) {
  const fs::path directory = network_directory(paths, record.name);
  if (!path_exists(directory)) return;
  remove_bridge(paths, NetworkLinks(), record.bridge);
  remove_bridge_rules(paths, record);
  remove_tree(directory);
}

bool is_idle(const Paths& paths, const std::string& network) {
  return list_directory(network_directory(paths, network) / "leases").empty();
}

fs::path last_release_file(const Paths& paths) { return paths.run / "networks" / ".released"; }

void note_release(const Paths& paths) {
  const Fd file = open_file(last_release_file(paths), O_WRONLY | O_CREAT, 0600);
  (void)::futimens(file.get(), nullptr);
}

/// Until nothing has been released for a while; each release in between makes it longer.
void linger(const Paths& paths) {
  for (;;) {
    struct stat info {};
    if (::stat(last_release_file(paths).c_str(), &info) != 0) return;
    const auto released = std::chrono::seconds(info.st_mtim.tv_sec) + std::chrono::nanoseconds(info.st_mtim.tv_nsec);
    const auto left = released + kLinger - now().time_since_epoch();
    if (left <= 0s || left > kLinger) return;  // a clock that was set back must not hold us
    std::this_thread::sleep_for(left);
  }
}

}  // namespace

void leave_network(const Paths& paths, const std::string& container_id, const std::string& network) {
  // The interface goes first: with the lease its address may be another's at once.
  delete_interface(paths, container_id, network);
  const fs::path directory = network_directory(paths, network);
  for (const std::string& text : list_directory(directory / "leases")) {
    const std::optional<IpAddress> address = IpAddress::find(text);
    if (!address || find_link(directory / "leases" / text) != container_id) continue;
    remove_all_names(directory, *address, container_id);
    release_address(directory / "leases", *address, container_id);
  }
  ::unlink(member_network_link(paths, container_id, network).c_str());
}

void give_back_network(const Paths& paths, const std::string& container_id) {
  const fs::path directory = member_directory(paths, container_id);
  if (!path_exists(directory)) return;
  if (const std::optional<ContainerNetwork> network = find_readable_network(paths, container_id)) {
    give_back_ports(paths, container_id, *network, network->ports);
  }
  for (const std::string& network : list_directory(member_resolve_directory(paths, container_id))) {
    if (!network.starts_with('.')) leave_network(paths, container_id, network);
  }
  if (const std::optional<std::string> netns = find_link(directory / "netns")) remove_network_namespace(*netns);
  remove_tree(directory);
}

void release_network(const Paths& paths, const std::string& container_id) {
  in_bridge_namespace(paths, [&] {
    if (!path_exists(member_directory(paths, container_id))) return;
    std::optional<MemberLock> lock = MemberLock::acquire(paths, container_id, kPatience);
    if (!lock) return;
    give_back_network(paths, container_id);
    lock->remove_file();
    note_release(paths);
  });
}

void release_dead_networks(const Paths& paths) {
  in_bridge_namespace(paths, [&] {
    for (const std::string& member : network_members(paths)) {
      std::optional<MemberLock> lock = MemberLock::acquire(paths, member, 0s);
      if (!lock) continue;
      give_back_network(paths, member);
      lock->remove_file();
      note_release(paths);
    }
  });
}

void retire_idle_networks(const Paths& paths, WhenIdle when) {
  in_bridge_namespace(paths, [&] {
    if (!path_exists(paths.run / "networks")) return;
    // One process that waits is enough: it sees what others release meanwhile.
    const std::optional<FileLock> turn = FileLock::try_acquire(paths.run / "networks" / ".retire.lock",
                                                               LockMode::Exclusive);
    if (!turn && when == WhenIdle::Wait) return;
    if (when == WhenIdle::Wait) linger(paths);
    if (!path_exists(paths.run / "networks")) return;  // a reset came meanwhile
    // Who joins holds this lock, so a container is either seen here by its lease, or finds the bridge gone and makes it.
    const std::optional<FileLock> lock = try_lock_joining(paths);
    if (!lock) return;
    bool all_idle = true;
    for (const NetworkRecord& record : list_networks(paths)) {
      if (is_idle(paths, record.name)) {
        retire_network(paths, record);
      } else {
        all_idle = false;
      }
    }
    if (all_idle && !why_no_nftables()) remove_rule_table(paths);
  });
}

void delete_idle_network(const Paths& paths, const NetworkRecord& record) {
  in_bridge_namespace(paths, [&] {
    make_directories(paths.run / "networks");
    const std::optional<FileLock> lock = try_lock_joining(paths);
    if (!lock || !is_idle(paths, record.name)) {
      throw Error(ErrorKind::Busy, "network " + record.name + " is in use");
    }
    retire_network(paths, record);
    delete_network(paths, record.name);
  });
}

std::vector<std::string> network_users(const Paths& paths, const std::string& network) {
  std::set<std::string> users;
  const fs::path leases = network_directory(paths, network) / "leases";
  for (const std::string& address : list_directory(leases)) {
    if (const auto holder = find_link(leases / address)) users.insert(*holder);
  }
  return {users.begin(), users.end()};
}

void remove_all_networks(const Paths& paths) {
  in_bridge_namespace(paths, [&] {
    const NetworkLinks links;
    const std::string mark = owner_mark(paths);
    for (const Link& link : links.links()) {
      if (link.name.starts_with("ctr") && link.alias == mark) links.delete_link(link.name);
    }
    if (path_exists(paths.run / "networks") && !why_no_nftables()) remove_rule_table(paths);
  });
}

}  // namespace ctr
