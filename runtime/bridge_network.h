// Containers on bridges: a network namespace with a veth pair into a bridge of the host, an address, names, published
// ports. Everything that a container takes is written under $CTR_RUN/networks/.members/<id> before it is taken, so that
// release_network() can give all of it back whoever calls it, however often, and after any crash.
//
// Only `ctr` does this, never the shim. What the shim must serve (port_forwarder.h, network_resolver.h) comes back as
// sockets in NetworkService. Bridges and the nftables table exist while a container needs them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/paths.h"
#include "runtime/network_record.h"
#include "runtime/network_service.h"
#include "runtime/port_binding.h"
#include "runtime/resolver_files.h"

namespace ctr {

/// What a container asks of one network.
struct EndpointRequest {
  std::vector<std::string> aliases;     // further names; the container's name and short id are names anyway
  std::optional<IpAddress> address;     // --ip
  std::optional<IpAddress> address_v6;  // --ip6
  std::optional<MacAddress> mac;
  std::string interface;                // empty: the first free eth<n>
  std::int64_t gateway_priority = 0;    // the highest gives the default route; of equals the first
};

/// What it got.
struct Endpoint {
  std::string network;
  std::string network_id;
  std::string id;              // 64 hex digits
  std::string interface;       // in the container
  std::string host_interface;  // its other end
  MacAddress mac;
  std::optional<IpPrefix> address;  // with the subnet's length
  std::optional<IpAddress> gateway;
  std::optional<IpPrefix> address_v6;
  std::optional<IpAddress> gateway_v6;
  std::vector<std::string> names;  // under which others find it
  std::vector<std::string> aliases;
  std::int64_t gateway_priority = 0;
  bool internal = false;  // its network has no way out
};

/// IPv4 first.
std::vector<IpAddress> addresses_of(const Endpoint& endpoint);

/// Whether the container's names are answered by its shim (on 127.0.0.11), or by the host's resolvers alone.
enum class NameService { Embedded, None };

struct NetworkRequest {
  std::string container_id;
  std::string container_name;
  fs::path netns;  // where the namespace is kept; made when it is missing
  std::vector<std::pair<NetworkRecord, EndpointRequest>> networks;  // none: only the namespace, with `lo` up
  std::vector<PublishRequest> publish;
  DnsOptions dns;
  NameService names = NameService::Embedded;
};

/// A container's network, as kept in $CTR_RUN for `inspect`, `ps` and `port`.
struct ContainerNetwork {
  fs::path netns;
  std::string container_name;
  std::vector<Endpoint> endpoints;
  std::vector<PublishedPort> ports;
  DnsOptions dns;
  std::vector<std::string> warnings;
};

Json to_json(const ContainerNetwork& network);
ContainerNetwork container_network_from_json(const Json& json);

struct NetworkSetup {
  ContainerNetwork network;
  /// For the shim. Its `hold` says that this network is in use: keep it (in whatever process) as long as the container
  /// lives, and close it before release_network() is called.
  NetworkService service;
};

/// Makes the namespace, joins the networks, publishes the ports. All or nothing; what an earlier life of the container
/// left is given back first. Throws Busy when a port is taken, naming the holder; Exists when an address is.
NetworkSetup set_up_network(const Paths& paths, const NetworkRequest& request);

/// The endpoint with the default route of a family, which its published ports lead to: the highest priority, of equals
/// the first that joined; nullptr when no network leads out.
const Endpoint* gateway_endpoint(const ContainerNetwork& network, AddressFamily family);
/// That of IPv4, or of IPv6 when only that leads out.
const Endpoint* primary_endpoint(const ContainerNetwork& network);

/// Nothing when the container has none (now). This is what `inspect` reads.
std::optional<ContainerNetwork> find_container_network(const Paths& paths, const std::string& container_id);

/// The links of the container's names, each to its id: to be unlinked the moment it has ended, before anybody is told.
std::vector<fs::path> name_links(const Paths& paths, const ContainerNetwork& network);

/// Gives back everything a container holds: ports, rules, interfaces, addresses, names, namespace. Idempotent; for the
/// end of a container, and for whoever finds a dead one. Does nothing when somebody holds the network (again): a
/// container that was started anew keeps what it has.
void release_network(const Paths& paths, const std::string& container_id);
/// Containers that hold something.
std::vector<std::string> network_members(const Paths& paths);
/// Gives back what is held by containers that nobody serves any more. Cheap when there are none.
void release_dead_networks(const Paths& paths);

enum class WhenIdle { Wait, Now };
/// Removes bridges and rules that no container uses any more. With Wait it lingers two seconds first, so that containers
/// that follow each other find their bridge; call it last, in a process that nobody waits for.
void retire_idle_networks(const Paths& paths, WhenIdle when);

/// Removes a network, its bridge and its record. Throws Busy when a container uses it or joins any. REQUIRES: the
/// networks' lock.
void delete_idle_network(const Paths& paths, const NetworkRecord& record);
/// Ids of the containers that hold an address of a network.
std::vector<std::string> network_users(const Paths& paths, const std::string& network);

// A running container's changes. What the shim must add or drop comes back.

/// `ctr network connect`.
Endpoint attach_endpoint(const Paths& paths, const std::string& container_id, const NetworkRecord& network,
                         const EndpointRequest& request);
/// `ctr network disconnect`. Throws NotFound when the container is not on that network.
void detach_endpoint(const Paths& paths, const std::string& container_id, const std::string& network);
/// `ctr update -p`: publishes more ports; returns what the shim must serve.
NetworkService publish_ports(const Paths& paths, const std::string& container_id,
                             const std::vector<PublishRequest>& publish);
/// Takes ports away; returns those that were published, for the shim.
std::vector<PublishedPort> unpublish_ports(const Paths& paths, const std::string& container_id,
                                           const std::vector<ContainerPort>& ports);
/// `ctr rename`: others find the container by its new name.
void rename_endpoints(const Paths& paths, const std::string& container_id, const std::string& new_name);

/// Removes everything of this store from the kernel: bridges, table, sysctls are left. For `ctr system reset`.
void remove_all_networks(const Paths& paths);

/// The address that `host-gateway` means for a container on these networks.
std::string host_gateway(const std::vector<NetworkRecord>& networks);

}  // namespace ctr
