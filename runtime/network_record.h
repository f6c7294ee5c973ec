// A network that containers can join, as it is kept in $CTR_ROOT/networks/<name>.json. Only data: nothing of it need
// exist in the kernel until the first container joins, nor after the last one left.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/lock.h"
#include "base/paths.h"
#include "runtime/network_address.h"

namespace ctr {

struct AddressPool;  // address_pool.h

struct NetworkSubnet {
  IpPrefix prefix;                // host bits zero
  IpAddress gateway;              // the bridge's own address
  std::optional<IpPrefix> range;  // --ip-range: where addresses are given out
  std::map<std::string, IpAddress> reserved;  // --aux-address
};

struct NetworkRecord {
  std::string name;
  std::string id;  // 64 hex digits
  std::string driver = "bridge";
  std::int64_t created_ns = 0;  // Unix time
  std::vector<NetworkSubnet> subnets;
  std::string bridge;     // the interface's name
  std::string interface_prefix;  // what interfaces in containers begin with; empty: "eth"
  bool internal = false;  // no way out
  bool ipv4 = true;
  bool ipv6 = false;
  bool isolated = false;  // containers do not reach each other (enable_icc=false)
  bool masquerade = true;
  std::uint32_t mtu = 0;  // 0: as the host's uplink
  std::map<std::string, std::string> options;
  std::map<std::string, std::string> labels;
  std::string publish_address;  // where -p without an address binds; empty: everywhere
};

inline constexpr const char* kDefaultNetwork = "bridge";

Json to_json(const NetworkRecord& record);
NetworkRecord network_record_from_json(const Json& json);

/// Nothing when there is no such network. "bridge" is made on first use, with the first pool the host does not use.
std::optional<NetworkRecord> find_network(const Paths& paths, const std::string& name_or_id);
NetworkRecord default_network(const Paths& paths);
NetworkRecord default_network(const Paths& paths, const std::vector<AddressPool>& pools);
std::vector<NetworkRecord> list_networks(const Paths& paths);

/// Held while a name or a subnet is chosen and its record written.
FileLock lock_networks(const Paths& paths);
/// Creates or replaces. REQUIRES: the lock.
void save_network(const Paths& paths, const NetworkRecord& record);
/// Absence is fine. REQUIRES: the lock, and no container on it.
void delete_network(const Paths& paths, const std::string& name);

}  // namespace ctr
