#include "runtime/network_links.h"

#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "base/error.h"

namespace ctr {
namespace {

unsigned char family_of(const IpAddress& address) {
  return static_cast<unsigned char>(address.is_v4() ? AF_INET : AF_INET6);
}

void put_address(nlmsghdr* message, std::uint16_t type, const IpAddress& address) {
  mnl_attr_put(message, type, address.bytes().size(), address.bytes().data());
}

void put_mac(nlmsghdr* message, const MacAddress& mac) {
  mnl_attr_put(message, IFLA_ADDRESS, mac.bytes.size(), mac.bytes.data());
}

nlmsghdr* start_link(NetlinkBatch& batch, std::uint16_t type, std::uint16_t flags, const ifinfomsg& info) {
  nlmsghdr* message = batch.start(type, static_cast<std::uint16_t>(flags | NLM_F_ACK));
  std::memcpy(mnl_nlmsg_put_extra_header(message, sizeof info), &info, sizeof info);
  return message;
}

ifinfomsg link_up(int index) {
  ifinfomsg info{};
  info.ifi_family = AF_UNSPEC;
  info.ifi_index = index;
  info.ifi_flags = IFF_UP;
  info.ifi_change = IFF_UP;
  return info;
}

void put_up(NetlinkBatch& batch, int index, const std::string& name) {
  start_link(batch, RTM_NEWLINK, 0, link_up(index));
  batch.finish("set " + name + " up");
}

/// No link-local address, and none of the traffic that finds out whether it is taken, where nobody uses IPv6. Has to
/// come before the interface is up, and cannot come with its creation.
void put_no_ipv6_address(NetlinkBatch& batch, const std::string& name) {
  nlmsghdr* message = start_link(batch, RTM_NEWLINK, 0, ifinfomsg{});
  mnl_attr_put_strz(message, IFLA_IFNAME, name.c_str());
  nlattr* families = mnl_attr_nest_start(message, IFLA_AF_SPEC);
  nlattr* v6 = mnl_attr_nest_start(message, AF_INET6);
  mnl_attr_put_u8(message, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
  mnl_attr_nest_end(message, v6);
  mnl_attr_nest_end(message, families);
  batch.finish("set address mode of " + name, {EAFNOSUPPORT, EOPNOTSUPP});  // a host without IPv6
}

void put_new_address(NetlinkBatch& batch, int index, const IpPrefix& prefix, const std::string& name) {
  nlmsghdr* message = batch.start(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK);
  ifaddrmsg info{};
  info.ifa_family = family_of(prefix.address);
  info.ifa_prefixlen = static_cast<unsigned char>(prefix.length);
  info.ifa_index = static_cast<unsigned>(index);
  // Whether the address is free is the lease's business: no seconds of waiting for neighbours to complain.
  info.ifa_flags = prefix.address.is_v6() ? IFA_F_NODAD : 0;
  std::memcpy(mnl_nlmsg_put_extra_header(message, sizeof info), &info, sizeof info);
  put_address(message, IFA_LOCAL, prefix.address);
  put_address(message, IFA_ADDRESS, prefix.address);
  if (prefix.address.is_v4() && prefix.length < 31) put_address(message, IFA_BROADCAST, prefix.last());
  batch.finish("add address " + prefix.str() + " to " + name, {EEXIST});
}

void put_default_route(NetlinkBatch& batch, std::uint16_t type, std::uint16_t flags, int index,
                       const IpAddress& gateway) {
  nlmsghdr* message = batch.start(type, static_cast<std::uint16_t>(flags | NLM_F_ACK));
  rtmsg info{};
  info.rtm_family = family_of(gateway);
  info.rtm_table = RT_TABLE_MAIN;
  info.rtm_protocol = RTPROT_BOOT;
  info.rtm_scope = RT_SCOPE_UNIVERSE;
  info.rtm_type = RTN_UNICAST;
  std::memcpy(mnl_nlmsg_put_extra_header(message, sizeof info), &info, sizeof info);
  put_address(message, RTA_GATEWAY, gateway);
  mnl_attr_put_u32(message, RTA_OIF, static_cast<std::uint32_t>(index));
  if (type == RTM_NEWROUTE) {
    batch.finish("add default route by " + gateway.str());
  } else {
    batch.finish("delete default route by " + gateway.str(), {ESRCH, ENOENT});
  }
}

std::optional<IpAddress> address_of(const nlattr* attribute) {
  const std::size_t size = mnl_attr_get_payload_len(attribute);
  if (size != 4 && size != 16) return std::nullopt;
  return IpAddress::from_bytes({static_cast<const std::uint8_t*>(mnl_attr_get_payload(attribute)), size});
}

std::string kind_of(const nlattr* link_info) {
  for (const nlattr* inner : attributes_in(link_info)) {
    if (mnl_attr_get_type(inner) == IFLA_INFO_KIND) return mnl_attr_get_str(inner);
  }
  return {};
}

void read_statistics(const nlattr* attribute, Link& link) {
  rtnl_link_stats64 stats{};
  std::memcpy(&stats, mnl_attr_get_payload(attribute),
              std::min<std::size_t>(sizeof stats, mnl_attr_get_payload_len(attribute)));
  link.rx_bytes = stats.rx_bytes, link.rx_packets = stats.rx_packets;
  link.rx_errors = stats.rx_errors, link.rx_dropped = stats.rx_dropped;
  link.tx_bytes = stats.tx_bytes, link.tx_packets = stats.tx_packets;
  link.tx_errors = stats.tx_errors, link.tx_dropped = stats.tx_dropped;
}

Link parse_link(const nlmsghdr* message) {
  const auto* info = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message));
  Link link;
  link.index = info->ifi_index;
  link.is_up = (info->ifi_flags & IFF_UP) != 0;
  for (const nlattr* attribute : attributes_of(message, sizeof *info)) {
    switch (mnl_attr_get_type(attribute)) {
      case IFLA_IFNAME: link.name = mnl_attr_get_str(attribute); break;
      case IFLA_IFALIAS: link.alias = mnl_attr_get_str(attribute); break;
      case IFLA_OPERSTATE: link.is_running = mnl_attr_get_u8(attribute) == IF_OPER_UP; break;
      case IFLA_MTU: link.mtu = mnl_attr_get_u32(attribute); break;
      case IFLA_MASTER: link.master = static_cast<int>(mnl_attr_get_u32(attribute)); break;
      case IFLA_LINKINFO: link.kind = kind_of(attribute); break;
      case IFLA_STATS64: read_statistics(attribute, link); break;
      default: break;
    }
  }
  return link;
}

std::optional<Route> parse_route(const nlmsghdr* message) {
  const auto* info = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(message));
  if (info->rtm_family != AF_INET && info->rtm_family != AF_INET6) return std::nullopt;
  if (info->rtm_type != RTN_UNICAST || (info->rtm_flags & RTM_F_CLONED) != 0) return std::nullopt;
  Route route;
  route.table = info->rtm_table;
  route.is_advertised = info->rtm_protocol == RTPROT_RA;
  route.destination = {IpAddress::any(info->rtm_family == AF_INET ? AddressFamily::V4 : AddressFamily::V6),
                       info->rtm_dst_len};
  for (const nlattr* attribute : attributes_of(message, sizeof *info)) {
    switch (mnl_attr_get_type(attribute)) {
      case RTA_DST:
        if (const auto address = address_of(attribute)) route.destination.address = *address;
        break;
      case RTA_GATEWAY: route.gateway = address_of(attribute); break;
      case RTA_OIF: route.interface = static_cast<int>(mnl_attr_get_u32(attribute)); break;
      case RTA_PRIORITY: route.priority = mnl_attr_get_u32(attribute); break;
      case RTA_TABLE: route.table = mnl_attr_get_u32(attribute); break;
      default: break;
    }
  }
  return route;
}

}  // namespace

std::optional<Link> NetworkLinks::find_link(const std::string& name) const {
  NetlinkBatch batch;
  nlmsghdr* message = batch.start(RTM_GETLINK, 0);
  const ifinfomsg info{};
  std::memcpy(mnl_nlmsg_put_extra_header(message, sizeof info), &info, sizeof info);
  mnl_attr_put_strz(message, IFLA_IFNAME, name.c_str());
  batch.finish("find interface " + name);
  std::optional<Link> link;
  try {
    socket_.query(batch, [&](const nlmsghdr* answer) { link = parse_link(answer); });
  } catch (const Error& error) {
    if (error.error_number() != ENODEV) throw;
  }
  return link;
}

std::vector<Link> NetworkLinks::links() const {
  NetlinkBatch batch;
  nlmsghdr* message = batch.start(RTM_GETLINK, NLM_F_DUMP);
  const ifinfomsg info{};
  std::memcpy(mnl_nlmsg_put_extra_header(message, sizeof info), &info, sizeof info);
  batch.finish("list interfaces");
  std::vector<Link> links;
  socket_.query(batch, [&](const nlmsghdr* answer) { links.push_back(parse_link(answer)); });
  return links;
}

std::vector<Route> NetworkLinks::routes() const {
  NetlinkBatch batch;
  nlmsghdr* message = batch.start(RTM_GETROUTE, NLM_F_DUMP);
  const rtmsg info{};
  std::memcpy(mnl_nlmsg_put_extra_header(message, sizeof info), &info, sizeof info);
  batch.finish("list routes");
  std::vector<Route> routes;
  socket_.query(batch, [&](const nlmsghdr* answer) {
    if (std::optional<Route> route = parse_route(answer)) routes.push_back(*route);
  });
  return routes;
}

void NetworkLinks::add_bridge(const BridgeSpec& spec) const {
  NetlinkBatch batch;
  nlmsghdr* message = start_link(batch, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, ifinfomsg{});
  mnl_attr_put_strz(message, IFLA_IFNAME, spec.name.c_str());
  mnl_attr_put_u32(message, IFLA_MTU, spec.mtu);
  // Else the bridge takes the lowest of its ports' and changes it when containers come and go.
  put_mac(message, spec.mac);
  nlattr* kind = mnl_attr_nest_start(message, IFLA_LINKINFO);
  mnl_attr_put_strz(message, IFLA_INFO_KIND, "bridge");
  mnl_attr_nest_end(message, kind);
  batch.finish("add bridge " + spec.name);
  if (!spec.ipv6) put_no_ipv6_address(batch, spec.name);
  socket_.run(batch);
  const std::optional<Link> made = find_link(spec.name);
  if (!made) throw Error(ErrorKind::System, "add bridge " + spec.name + " failed: it vanished");
  set_alias(made->index, spec.alias);
}

void NetworkLinks::set_alias(int index, const std::string& alias) const {
  NetlinkBatch batch;
  ifinfomsg info{};
  info.ifi_index = index;
  nlmsghdr* message = start_link(batch, RTM_NEWLINK, 0, info);
  mnl_attr_put(message, IFLA_IFALIAS, alias.size(), alias.data());
  batch.finish("set alias " + alias);
  socket_.run(batch);
}

void NetworkLinks::add_veth(const VethSpec& spec) const {
  NetlinkBatch batch;
  nlmsghdr* message = start_link(batch, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, ifinfomsg{});
  mnl_attr_put_strz(message, IFLA_IFNAME, spec.name.c_str());
  mnl_attr_put_u32(message, IFLA_MTU, spec.mtu);
  mnl_attr_put_u32(message, IFLA_MASTER, static_cast<std::uint32_t>(spec.bridge));
  nlattr* info = mnl_attr_nest_start(message, IFLA_LINKINFO);
  mnl_attr_put_strz(message, IFLA_INFO_KIND, "veth");
  nlattr* data = mnl_attr_nest_start(message, IFLA_INFO_DATA);
  nlattr* peer = mnl_attr_nest_start(message, VETH_INFO_PEER);
  const ifinfomsg none{};
  std::memcpy(mnl_nlmsg_put_extra_header(message, sizeof none), &none, sizeof none);
  mnl_attr_put_strz(message, IFLA_IFNAME, spec.peer_name.c_str());
  mnl_attr_put_u32(message, IFLA_MTU, spec.mtu);
  mnl_attr_put_u32(message, IFLA_NET_NS_FD, static_cast<std::uint32_t>(spec.peer_netns));
  put_mac(message, spec.peer_mac);
  mnl_attr_nest_end(message, peer);
  mnl_attr_nest_end(message, data);
  mnl_attr_nest_end(message, info);
  batch.finish("add interface " + spec.name);
  put_no_ipv6_address(batch, spec.name);  // a port of a bridge needs none

  // With br_netfilter loaded a container that calls its own published port leaves by the port it came from.
  message = start_link(batch, RTM_NEWLINK, 0, link_up(0));
  mnl_attr_put_strz(message, IFLA_IFNAME, spec.name.c_str());
  mnl_attr_put(message, IFLA_IFALIAS, spec.alias.size(), spec.alias.data());
  info = mnl_attr_nest_start(message, IFLA_LINKINFO);
  mnl_attr_put_strz(message, IFLA_INFO_SLAVE_KIND, "bridge");
  nlattr* options = mnl_attr_nest_start(message, IFLA_INFO_SLAVE_DATA);
  mnl_attr_put_u8(message, IFLA_BRPORT_MODE, 1);
  if (spec.isolated) mnl_attr_put_u8(message, IFLA_BRPORT_ISOLATED, 1);
  mnl_attr_nest_end(message, options);
  mnl_attr_nest_end(message, info);
  batch.finish("set bridge port " + spec.name);
  socket_.run(batch);
}

void NetworkLinks::add_address(int index, const IpPrefix& address) const {
  NetlinkBatch batch;
  put_new_address(batch, index, address, "interface " + std::to_string(index));
  socket_.run(batch);
}

void NetworkLinks::set_up(int index) const {
  NetlinkBatch batch;
  put_up(batch, index, "interface " + std::to_string(index));
  socket_.run(batch);
}

void NetworkLinks::set_loopback_up() const { set_up(1); }

void NetworkLinks::configure_interface(const InterfaceSpec& spec) const {
  const std::optional<Link> link = find_link(spec.name);
  if (!link) throw Error(ErrorKind::NotFound, "no interface " + spec.name);
  NetlinkBatch batch;
  if (!spec.address_v6) put_no_ipv6_address(batch, spec.name);
  if (spec.address) put_new_address(batch, link->index, *spec.address, spec.name);
  if (spec.address_v6) put_new_address(batch, link->index, *spec.address_v6, spec.name);
  put_up(batch, link->index, spec.name);
  constexpr std::uint16_t kReplace = NLM_F_CREATE | NLM_F_REPLACE;
  if (spec.default_gateway) put_default_route(batch, RTM_NEWROUTE, kReplace, link->index, *spec.default_gateway);
  if (spec.default_gateway_v6) put_default_route(batch, RTM_NEWROUTE, kReplace, link->index, *spec.default_gateway_v6);
  socket_.run(batch);
}

void NetworkLinks::add_default_route(int index, const IpAddress& gateway) const {
  NetlinkBatch batch;
  put_default_route(batch, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, index, gateway);
  socket_.run(batch);
}

void NetworkLinks::delete_default_routes(AddressFamily family) const {
  NetlinkBatch batch;
  for (const Route& route : routes()) {
    if (route.destination.length != 0 || route.destination.address.family() != family || !route.gateway) continue;
    put_default_route(batch, RTM_DELROUTE, 0, route.interface, *route.gateway);
  }
  socket_.run(batch);
}

void NetworkLinks::wait_until_running(const std::string& name) const {
  for (int tries = 0; tries < 500; ++tries) {
    const std::optional<Link> link = find_link(name);
    if (!link || link->is_running) return;
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
}

void NetworkLinks::delete_link(const std::string& name) const {
  NetlinkBatch batch;
  nlmsghdr* message = start_link(batch, RTM_DELLINK, 0, ifinfomsg{});
  mnl_attr_put_strz(message, IFLA_IFNAME, name.c_str());
  batch.finish("delete interface " + name, {ENODEV});
  socket_.run(batch);
}

std::uint32_t uplink_mtu(const NetworkLinks& links) {
  const std::vector<Route> routes = links.routes();
  const Route* best = nullptr;
  for (const Route& route : routes) {
    if (route.destination.length != 0 || route.table != RT_TABLE_MAIN || route.interface == 0) continue;
    const bool better = best == nullptr || (route.destination.address.is_v4() && best->destination.address.is_v6()) ||
                        route.priority < best->priority;
    if (better) best = &route;
  }
  if (best == nullptr) return 1500;
  for (const Link& link : links.links()) {
    if (link.index == best->interface) return link.mtu;
  }
  return 1500;
}

}  // namespace ctr
