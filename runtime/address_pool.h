// Where addresses come from. Subnets: the first of Docker's pools that neither the host's routes nor another network use.
// Addresses: the lowest free one of a subnet, claimed by a symlink leases/<address> whose target is the container's id,
// so that claiming is one system call and a claim that fails names the holder.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "runtime/network_links.h"
#include "runtime/network_record.h"

namespace ctr {

/// What a new network must keep away from: the host's routes in any table, its resolvers, and `records`.
std::vector<IpPrefix> used_prefixes(const NetworkLinks& links, const std::vector<NetworkRecord>& records);

/// A network that is cut into subnets of one size; "10.10.0.0/16:24" in the configuration.
struct AddressPool {
  IpPrefix base;
  int size = 0;

  /// Throws Invalid.
  static AddressPool parse(const std::string& text);
};

/// The first subnet of the pools that nobody uses; without pools of 172.17.0.0/16 to 172.31.0.0/16, then 192.168.0.0/20
/// and on. Throws Unavailable when all are used.
IpPrefix choose_subnet(const std::vector<IpPrefix>& used, const std::vector<AddressPool>& pools = {});
/// An unused /64 of a random fd00::/8 network (RFC 4193).
IpPrefix choose_subnet_v6(const std::vector<IpPrefix>& used);

/// The subnet with its first address as the gateway.
NetworkSubnet make_subnet(const IpPrefix& prefix);

/// Claims an address for a container in the directory `leases`. Throws Exists when the asked one is taken (naming the
/// holder), Invalid when it lies outside, Unavailable when none is left.
IpAddress claim_address(const fs::path& leases, const NetworkSubnet& subnet, const std::optional<IpAddress>& asked,
                        const std::string& container_id);
/// Gives it back if the container holds it.
void release_address(const fs::path& leases, const IpAddress& address, const std::string& container_id);

/// A symlink `link` -> `holder`; false when somebody holds it already.
bool claim_link(const fs::path& link, const std::string& holder);
/// Removes the link if it names `holder`.
void release_link(const fs::path& link, const std::string& holder);

}  // namespace ctr
