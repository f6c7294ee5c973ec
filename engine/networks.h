// Networks as `ctr network` knows them: made, listed, inspected, removed, and containers connected to them and
// disconnected while they run. The mechanism is runtime/bridge_network.h's; here are Docker's rules and words.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "engine/container_config.h"
#include "engine/containers.h"
#include "engine/context.h"
#include "engine/filters.h"
#include "runtime/network_record.h"

namespace ctr {

/// One --subnet with what belongs to it, as texts of the user.
struct IpamPool {
  std::string subnet;    // empty: chosen
  std::string ip_range;
  std::string gateway;
  StringMap reserved;    // --aux-address name=address
};

struct CreateNetworkRequest {
  std::string name;
  std::string driver = "bridge";
  std::vector<IpamPool> pools;
  bool internal = false;
  bool ipv4 = true;
  bool ipv6 = false;
  StringMap options;  // com.docker.network.bridge.name and .enable_icc, .enable_ip_masquerade, .host_binding_ipv4,
                      // com.docker.network.driver.mtu, com.docker.network.container_iface_prefix
  StringMap labels;
};

/// Pairs the lists of --subnet, --gateway, --ip-range and --aux-address by the subnet that contains each. Throws Invalid.
std::vector<IpamPool> make_ipam_pools(const std::vector<std::string>& subnets, const std::vector<std::string>& gateways,
                                      const std::vector<std::string>& ranges, const std::vector<std::string>& reserved);

/// Nothing exists in the kernel before the first container. Throws Exists, Invalid.
NetworkRecord create_network(Context& context, const CreateNetworkRequest& request);

/// "bridge", made on first use from the configuration's default-address-pools.
NetworkRecord default_network(Context& context);

/// By name, id or unique prefix of an id; "bridge", "host" and "none" too. Throws NotFound "network x not found".
NetworkRecord resolve_network(Context& context, const std::string& name_or_id);
bool is_predefined_network(const std::string& name);

/// The filters of `network ls`: dangling, driver, id, label, name, scope, type.
Filters parse_network_filters(const std::vector<std::string>& texts);
/// By name.
std::vector<NetworkRecord> list_networks(Context& context, const Filters& filters);

/// Docker's document, with the containers that are on it now.
Json inspect_network(Context& context, const NetworkRecord& network);

/// Throws Busy naming the containers on it, Denied for a predefined one. Returns its name.
std::string remove_network(Context& context, const std::string& name_or_id);

/// The filters of `network prune`: until, label, label!.
Filters parse_network_prune_filters(const std::vector<std::string>& texts);
/// Removes those that no container, running or not, is meant for.
PruneReport prune_networks(Context& context, const Filters& filters);

/// A container that does not run is connected at its next start.
void connect_network(Context& context, const std::string& network, const std::string& container,
                     const EndpointSettings& settings);
enum class Force { No, Yes };
/// With Force::Yes it is no error if the container is gone or not connected.
void disconnect_network(Context& context, const std::string& network, const std::string& container, Force force);

/// Removes bridges and rules that no container uses any more. Lingers two seconds first, so that containers that follow
/// each other find them: for the end of a process that nobody waits for.
void retire_unused_networks(Context& context);

}  // namespace ctr
