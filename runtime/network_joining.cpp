#include "runtime/network_joining.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "base/error.h"
#include "base/random.h"
#include "runtime/address_pool.h"
#include "runtime/bridge_namespace.h"
#include "runtime/network_firewall.h"
#include "runtime/network_flows.h"
#include "runtime/network_members.h"
#include "runtime/network_names.h"
#include "runtime/network_namespace.h"
#include "runtime/network_owner.h"
#include "runtime/network_ports.h"

namespace ctr {
namespace {

constexpr std::size_t kShortId = 12;

const NetworkSubnet* subnet_of(const NetworkRecord& record, AddressFamily family) {
  for (const NetworkSubnet& subnet : record.subnets) {
    if (subnet.prefix.address.family() == family) return &subnet;
  }
  return nullptr;
}

/// An asked address may lie in any subnet of its family.
const NetworkSubnet* subnet_for(const NetworkRecord& record, AddressFamily family,
                                const std::optional<IpAddress>& asked) {
  if (!asked) return subnet_of(record, family);
  for (const NetworkSubnet& subnet : record.subnets) {
    if (subnet.prefix.contains(*asked)) return &subnet;
  }
  throw Error(ErrorKind::Invalid, "no subnet of network " + record.name + " contains the address " + asked->str());
}

/// The container's names on a network: its own, those asked for, its short id; each once.
std::vector<std::string> names_of(const std::string& name, const std::string& container_id,
                                  const std::vector<std::string>& aliases) {
  std::vector<std::string> names;
  const auto add = [&](const std::string& candidate) {
    if (!candidate.empty() && std::find(names.begin(), names.end(), candidate) == names.end()) {
      names.push_back(candidate);
    }
  };
  add(name);
  for (const std::string& alias : aliases) {
    if (!is_resolvable_name(alias)) throw Error(ErrorKind::Invalid, "invalid network alias: " + alias);
    add(alias);
  }
  add(container_id.substr(0, kShortId));
  return names;
}

/// A holder that nobody serves any more is on its way out: help it, then try again.
IpAddress claim_lease(const Paths& paths, const fs::path& leases, const NetworkSubnet& subnet,
                      const std::optional<IpAddress>& asked, const std::string& container_id) {
  try {
    return claim_address(leases, subnet, asked, container_id);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Exists && error.kind() != ErrorKind::Unavailable) throw;
  }
  release_dead_networks(paths);
  return claim_address(leases, subnet, asked, container_id);
}

void note_network(const Paths& paths, const std::string& container_id, const std::string& network) {
  const fs::path link = member_network_link(paths, container_id, network);
  if (::symlink(("../../../" + network).c_str(), link.c_str()) != 0 && errno != EEXIST) {
    throw_errno(errno, "create", link.native());
  }
}

}  // namespace

std::vector<IpAddress> addresses_of(const Endpoint& endpoint) {
  std::vector<IpAddress> addresses;
  if (endpoint.address) addresses.push_back(endpoint.address->address);
  if (endpoint.address_v6) addresses.push_back(endpoint.address_v6->address);
  return addresses;
}

Joining::Joining(const Paths& paths, const std::string& container_id, int netns)
    : paths_(paths), container_id_(container_id), netns_(netns), container_(netns) {
  container_.set_loopback_up();
}

std::string Joining::free_interface(const ContainerNetwork& network, const NetworkRecord& record,
                                    const EndpointRequest& request) const {
  std::set<std::string> taken;
  for (const Endpoint& endpoint : network.endpoints) taken.insert(endpoint.interface);
  if (!request.interface.empty()) {
    if (taken.contains(request.interface)) {
      throw Error(ErrorKind::Invalid, "interface " + request.interface + " is asked for twice");
    }
    return request.interface;
  }
  for (int number = 0;; ++number) {
    const std::string name = (record.interface_prefix.empty() ? "eth" : record.interface_prefix) + std::to_string(number);
    if (!taken.contains(name)) return name;
  }
}

Rules Joining::put_bridge_rules(const NetworkRecord& record) {
  try {
    add_rule_elements(paths_, {{bridge_rules(record)}, {}}, [&] {
      RuleElements elements = all_rule_elements(paths_);
      elements.bridges.push_back(bridge_rules(record));
      return elements;
    });
    return Rules::Present;
  } catch (const Error&) {
    const std::optional<std::string> reason = why_no_nftables();
    if (!reason) throw;
    warnings_.push_back("nftables cannot be used (" + *reason +
                        "): published ports are forwarded by a process, so that programs in the container do not see "
                        "the client's address, and containers do not reach beyond this host");
    return Rules::Absent;
  }
}

/// Address and names: what other containers can see.
Endpoint Joining::claim(const ContainerNetwork& network, const NetworkRecord& record,
                        const EndpointRequest& request) const {
  const fs::path directory = network_directory(paths_, record.name);
  const NetworkSubnet* v4 = subnet_for(record, AddressFamily::V4, request.address);
  const NetworkSubnet* v6 = subnet_for(record, AddressFamily::V6, request.address_v6);
  Endpoint endpoint;
  endpoint.network = record.name;
  endpoint.network_id = record.id;
  endpoint.id = random_hex(32);
  endpoint.interface = free_interface(network, record, request);
  endpoint.host_interface = host_interface_name(container_id_, record.name);
  endpoint.internal = record.internal;
  endpoint.gateway_priority = request.gateway_priority;
  endpoint.aliases = request.aliases;
  endpoint.names = names_of(network.container_name, container_id_, request.aliases);
  const auto claim_in = [&](const NetworkSubnet& subnet, const std::optional<IpAddress>& asked) {
    return IpPrefix{claim_lease(paths_, directory / "leases", subnet, asked, container_id_), subnet.prefix.length};
  };
  if (v4 != nullptr) {
    endpoint.address = claim_in(*v4, request.address);
    endpoint.gateway = v4->gateway;
  }
  if (v6 != nullptr) {
    endpoint.address_v6 = claim_in(*v6, request.address_v6);
    endpoint.gateway_v6 = v6->gateway;
  }
  endpoint.mac = request.mac.value_or(MacAddress::of(addresses_of(endpoint).front()));
  return endpoint;
}

Endpoint Joining::join(ContainerNetwork& network, const NetworkRecord& record, const EndpointRequest& request) {
  note_network(paths_, container_id_, record.name);
  const FileLock lock = lock_joining(paths_, record.name);
  // It may have been removed since the caller looked; from here on it cannot be.
  const std::optional<NetworkRecord> still_there = find_network(paths_, record.name);
  if (!still_there || still_there->id != record.id) {
    throw Error(ErrorKind::NotFound, "network " + record.name + " not found");
  }
  Endpoint endpoint = claim(network, record, request);
  const Rules rules = put_bridge_rules(record);
  const Link bridge = ensure_bridge(paths_, host_, record, rules);
  if (rules == Rules::Present) {
    const std::vector<std::string> told = admit_bridge(paths_, record);
    warnings_.insert(warnings_.end(), told.begin(), told.end());
  }
  VethSpec veth;
  veth.name = endpoint.host_interface;
  veth.alias = owner_mark(paths_);
  veth.bridge = bridge.index;
  veth.mtu = bridge.mtu;
  veth.isolated = record.isolated;
  veth.peer_name = endpoint.interface;
  veth.peer_mac = endpoint.mac;
  veth.peer_netns = netns_;
  host_.add_veth(veth);
  container_.configure_interface({endpoint.interface, endpoint.address, endpoint.address_v6, {}, {}});
  new_on_host_.insert(new_on_host_.end(), {endpoint.host_interface, bridge.name});
  new_in_container_.push_back(endpoint.interface);
  // Others find the container once it can be reached.
  const fs::path directory = network_directory(paths_, record.name);
  for (const IpAddress& address : addresses_of(endpoint)) {
    for (const std::string& name : endpoint.names) add_network_name(directory, name, address, container_id_);
    add_network_pointer(directory, address, endpoint.names.front() + "." + record.name);
  }
  network.endpoints.push_back(endpoint);
  return endpoint;
}

void Joining::wait_until_running() const {
  for (const std::string& name : new_on_host_) host_.wait_until_running(name);
  for (const std::string& name : new_in_container_) container_.wait_until_running(name);
}

void Joining::set_default_routes(const ContainerNetwork& network) const {
  for (AddressFamily family : {AddressFamily::V4, AddressFamily::V6}) {
    const Endpoint* leading = gateway_endpoint(network, family);
    std::optional<Link> link;
    if (leading != nullptr) link = container_.find_link(leading->interface);
    if (!link || network.endpoints.size() > 1) container_.delete_default_routes(family);
    if (link) container_.add_default_route(link->index, family == AddressFamily::V4 ? *leading->gateway : *leading->gateway_v6);
  }
}

std::vector<ForwardRule> take_ports(const Paths& paths, const std::string& container_id, ContainerNetwork& network,
                                    const std::vector<PublishRequest>& requests) {
  const Endpoint* v4 = gateway_endpoint(network, AddressFamily::V4);
  const Endpoint* v6 = gateway_endpoint(network, AddressFamily::V6);
  if (v4 == nullptr && v6 == nullptr) {
    network.warnings.push_back("published ports are ignored: the container has no network that leads out");
    return {};
  }
  const FileLock lock = lock_ports(paths);
  std::vector<ForwardRule> forwards;
  for (const PublishRequest& request : requests) {
    std::vector<ForwardRule> bound;
    outside_bridge_namespace([&] { bound = bind_port(paths, request); });
    for (ForwardRule& rule : bound) {
      // Of the port's own family if the container has it; else the forwarder crosses over.
      const bool to_v6 = v4 == nullptr || (rule.port.host_address.is_v6() && v6 != nullptr);
      rule.target = to_v6 ? v6->address_v6->address : v4->address->address;
      rule.target_port = rule.port.container.port;
      forwards.push_back(std::move(rule));
    }
  }
  std::vector<PublishedPort> ports;
  for (const ForwardRule& rule : forwards) ports.push_back(rule.port);
  network.ports.insert(network.ports.end(), ports.begin(), ports.end());
  save_member(paths, container_id, network);  // before there is something to undo
  for (const PublishedPort& port : ports) claim_port(paths, port, container_id);
  try {
    add_rule_elements(paths, {{}, port_rules(network, ports)}, [&] { return all_rule_elements(paths); });
  } catch (const Error&) {
    if (!why_no_nftables()) throw;  // else the forwarder serves them all; join() has warned
  }
  forget_flows(ports);
  std::erase_if(forwards, [](const ForwardRule& rule) { return !rule.socket; });
  return forwards;
}

void give_back_ports(const Paths& paths, const std::string& container_id, const ContainerNetwork& network,
                     const std::vector<PublishedPort>& ports) {
  if (ports.empty()) return;
  const FileLock lock = lock_ports(paths);
  std::vector<PublishedPort> own;
  for (const PublishedPort& port : ports) {
    if (release_port(paths, port, container_id)) own.push_back(port);
  }
  try {
    remove_rule_elements(paths, {{}, port_rules(network, own)});
  } catch (const Error&) {
    if (!why_no_nftables()) throw;
  }
  forget_flows(own);
}

std::vector<fs::path> name_links(const Paths& paths, const ContainerNetwork& network) {
  std::vector<fs::path> links;
  for (const Endpoint& endpoint : network.endpoints) {
    const fs::path names = network_directory(paths, endpoint.network) / "names";
    for (const IpAddress& address : addresses_of(endpoint)) {
      for (const std::string& name : endpoint.names) links.push_back(names / resolvable_name(name) / address.str());
    }
  }
  return links;
}

}  // namespace ctr
