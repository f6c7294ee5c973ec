// Interfaces, addresses and routes of one network namespace, through rtnetlink. Mechanism only: which bridge, which
// address and when is bridge_network.h's business.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/netlink.h"
#include "runtime/network_address.h"

namespace ctr {

struct Link {
  int index = 0;
  std::string name;
  std::string alias;
  std::string kind;  // "bridge", "veth"; empty: a real device
  bool is_up = false;       // as somebody wants it
  bool is_running = false;  // packets pass: the other end is up too, and the kernel has taken note
  int master = 0;
  std::uint32_t mtu = 0;
  std::uint64_t rx_bytes = 0, rx_packets = 0, rx_errors = 0, rx_dropped = 0;
  std::uint64_t tx_bytes = 0, tx_packets = 0, tx_errors = 0, tx_dropped = 0;
};

struct Route {
  IpPrefix destination;  // length 0: a default route
  std::optional<IpAddress> gateway;
  int interface = 0;
  std::uint32_t priority = 0;
  std::uint32_t table = 0;
  bool is_advertised = false;  // learnt from a router advertisement
};

struct BridgeSpec {
  std::string name;
  std::string alias;
  MacAddress mac;
  std::uint32_t mtu = 1500;
  bool ipv6 = false;
};

/// Both ends of a pair. The first joins a bridge and is up; the second appears in another namespace, down.
struct VethSpec {
  std::string name;
  std::string alias;
  int bridge = 0;
  std::uint32_t mtu = 1500;
  bool isolated = false;  // the bridge passes nothing to other isolated ports
  std::string peer_name;
  MacAddress peer_mac;
  int peer_netns = -1;
};

/// What an interface inside a container gets, in one go.
struct InterfaceSpec {
  std::string name;
  std::optional<IpPrefix> address;
  std::optional<IpPrefix> address_v6;
  std::optional<IpAddress> default_gateway;
  std::optional<IpAddress> default_gateway_v6;
};

class NetworkLinks {
 public:
  NetworkLinks() : socket_(NetlinkBus::Route) {}
  explicit NetworkLinks(int netns) : socket_(NetlinkBus::Route, netns) {}

  std::optional<Link> find_link(const std::string& name) const;
  std::vector<Link> links() const;
  std::vector<Route> routes() const;

  /// Throws Exists when there is such an interface. The bridge is down.
  void add_bridge(const BridgeSpec& spec) const;
  void set_alias(int index, const std::string& alias) const;
  void add_veth(const VethSpec& spec) const;
  void add_address(int index, const IpPrefix& address) const;
  void set_up(int index) const;
  void set_loopback_up() const;
  /// Addresses, then up, then default routes, in one batch.
  void configure_interface(const InterfaceSpec& spec) const;
  void add_default_route(int index, const IpAddress& gateway) const;
  void delete_default_routes(AddressFamily family) const;
  /// Waits until packets pass; gives up after a tenth of a second.
  void wait_until_running(const std::string& name) const;
  /// Absence is fine.
  void delete_link(const std::string& name) const;

 private:
  NetlinkSocket socket_;
};

/// The MTU of the interface with the default route; 1500 without one.
std::uint32_t uplink_mtu(const NetworkLinks& links);

}  // namespace ctr
