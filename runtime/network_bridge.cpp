#include "runtime/network_bridge.h"

#include <algorithm>
#include <cerrno>

#include "base/error.h"
#include "base/text.h"
#include "runtime/network_owner.h"

namespace ctr {
namespace {

void enable(const fs::path& sysctl) {
  const std::optional<std::string> value = find_file(sysctl, 64);
  if (value && trim(*value) == "0") write_control_file(sysctl, "1");
}

/// Forwarding turns a host into a router, and a router does not listen to other routers' advertisements: a host that
/// has its address from one would lose it, so those interfaces are told to go on listening.
void enable_forwarding_v6() {
  const fs::path interfaces = "/proc/sys/net/ipv6/conf";
  const std::optional<std::string> forwarding = find_file(interfaces / "all" / "forwarding", 64);
  if (!forwarding || trim(*forwarding) != "0") return;
  for (const std::string& name : list_directory(interfaces)) {
    if (name == "all") continue;
    const std::optional<std::string> accept = find_file(interfaces / name / "accept_ra", 64);
    if (accept && trim(*accept) == "1") write_control_file(interfaces / name / "accept_ra", "2");
  }
  write_control_file(interfaces / "all" / "forwarding", "1");
}

void set_sysctls(const NetworkRecord& record, Rules rules) {
  const fs::path v4 = "/proc/sys/net/ipv4";
  enable(v4 / "ip_forward");
  // See network_rules.cpp for the guard that has to be there first.
  if (rules == Rules::Present) write_control_file(v4 / "conf" / record.bridge / "route_localnet", "1");
  const fs::path v6 = fs::path("/proc/sys/net/ipv6/conf") / record.bridge;
  if (path_exists(v6 / "accept_ra")) write_control_file(v6 / "accept_ra", "0");
  if (record.ipv6) {
    if (path_exists(v6 / "disable_ipv6")) write_control_file(v6 / "disable_ipv6", "0");
    // The bridge asks for its containers from its link-local address, which otherwise may not be used for a second.
    if (path_exists(v6 / "accept_dad")) write_control_file(v6 / "accept_dad", "0");
    enable_forwarding_v6();
  }
}

[[noreturn]] void throw_foreign(const std::string& bridge) {
  throw Error(ErrorKind::Busy, "interface " + bridge + " exists and belongs to somebody else; remove it, or give the "
                               "network another one with the option com.docker.network.bridge.name");
}

bool is_ours(const Link& link, const std::string& mark) { return link.kind == "bridge" && link.alias == mark; }

/// Made by us a moment before we died: it has neither its mark nor anything else.
bool is_half_made(const Link& link) { return link.kind == "bridge" && link.alias.empty() && !link.is_up; }

/// Somebody's route came after the network did: containers would take its traffic.
void check_subnets(const NetworkLinks& links, const NetworkRecord& record, int own_index) {
  const std::vector<Route> routes = links.routes();
  for (const NetworkSubnet& subnet : record.subnets) {
    for (const Route& route : routes) {
      if (route.interface == own_index || route.destination.length < subnet.prefix.length) continue;
      if (!route.destination.overlaps(subnet.prefix)) continue;
      throw Error(ErrorKind::Busy, "network " + record.name + " cannot be used: its subnet " + subnet.prefix.str() +
                                       " is on this host's route to " + route.destination.str());
    }
  }
}

Link make_bridge(const Paths& paths, const NetworkLinks& links, const NetworkRecord& record, Rules rules) {
  const std::string mark = owner_mark(paths);
  std::optional<Link> link = links.find_link(record.bridge);
  if (link && !is_ours(*link, mark) && !is_half_made(*link)) throw_foreign(record.bridge);
  if (link && is_ours(*link, mark) && link->is_up) return *link;  // somebody was faster
  check_subnets(links, record, link ? link->index : 0);
  if (!link) {
    BridgeSpec spec;
    spec.name = record.bridge;
    spec.alias = mark;
    spec.mac = MacAddress::of(record.subnets.front().gateway);
    spec.mtu = record.mtu != 0 ? record.mtu : uplink_mtu(links);
    spec.ipv6 = record.ipv6;
    links.add_bridge(spec);
  } else if (link->alias.empty()) {
    links.set_alias(link->index, mark);
  }
  link = links.find_link(record.bridge);
  if (!link) throw Error(ErrorKind::Busy, "interface " + record.bridge + " vanished");
  set_sysctls(record, rules);
  for (const NetworkSubnet& subnet : record.subnets) {
    links.add_address(link->index, {subnet.gateway, subnet.prefix.length});
  }
  links.set_up(link->index);
  return *link;
}

}  // namespace

fs::path network_directory(const Paths& paths, const std::string& network) { return paths.run / "networks" / network; }

FileLock lock_joining(const Paths& paths, const std::string& network) {
  make_directories(paths.run / "networks");
  FileLock lock = FileLock::acquire(paths.run / "networks" / ".joining.lock", LockMode::Shared);
  make_directories(network_directory(paths, network) / "leases");
  return lock;
}

std::optional<FileLock> try_lock_joining(const Paths& paths) {
  return FileLock::try_acquire(paths.run / "networks" / ".joining.lock", LockMode::Exclusive);
}

BridgeRules bridge_rules(const NetworkRecord& record) {
  BridgeRules rules{record.bridge, {}, record.internal, record.isolated, record.masquerade};
  for (const NetworkSubnet& subnet : record.subnets) rules.subnets.push_back(subnet.prefix);
  return rules;
}

Link ensure_bridge(const Paths& paths, const NetworkLinks& links, const NetworkRecord& record, Rules rules) {
  const std::optional<Link> link = links.find_link(record.bridge);
  if (link && link->is_up && is_ours(*link, owner_mark(paths))) return *link;
  const FileLock lock = FileLock::acquire(paths.run / "networks" / ".bridges.lock", LockMode::Exclusive);
  return make_bridge(paths, links, record, rules);
}

void remove_bridge(const Paths& paths, const NetworkLinks& links, const std::string& bridge) {
  const std::optional<Link> link = links.find_link(bridge);
  if (link && is_ours(*link, owner_mark(paths))) links.delete_link(bridge);
}

}  // namespace ctr
