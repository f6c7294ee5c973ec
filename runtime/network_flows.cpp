#include "runtime/network_flows.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>

#include <algorithm>
#include <optional>
#include <string>

#include "base/error.h"
#include "runtime/netlink.h"

namespace ctr {
namespace {

std::uint16_t message_type(int type) { return static_cast<std::uint16_t>((NFNL_SUBSYS_CTNETLINK << 8) | type); }

nlmsghdr* start(NetlinkBatch& batch, int type, std::uint16_t flags, std::uint8_t family) {
  nlmsghdr* message = batch.start(message_type(type), flags);
  auto* header = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(nfgenmsg)));
  header->nfgen_family = family;
  header->version = NFNETLINK_V0;
  return message;
}

/// Where the first packet of a conversation went.
struct Destination {
  std::uint8_t protocol = 0;
  std::uint16_t port = 0;
  std::optional<IpAddress> address;
};

Destination destination_of(const nlattr* tuple) {
  Destination destination;
  for (const nlattr* part : attributes_in(tuple)) {
    const int kind = mnl_attr_get_type(part);
    for (const nlattr* inner : attributes_in(part)) {
      const int type = mnl_attr_get_type(inner);
      const std::size_t size = mnl_attr_get_payload_len(inner);
      if (kind == CTA_TUPLE_IP && (type == CTA_IP_V4_DST || type == CTA_IP_V6_DST) && (size == 4 || size == 16)) {
        destination.address = IpAddress::from_bytes({static_cast<const std::uint8_t*>(mnl_attr_get_payload(inner)), size});
      } else if (kind == CTA_TUPLE_PROTO && type == CTA_PROTO_NUM && size == 1) {
        destination.protocol = mnl_attr_get_u8(inner);
      } else if (kind == CTA_TUPLE_PROTO && type == CTA_PROTO_DST_PORT && size == 2) {
        destination.port = ntohs(mnl_attr_get_u16(inner));
      }
    }
  }
  return destination;
}

bool is_at(const Destination& destination, const PublishedPort& port) {
  if (destination.port != port.host_port || !destination.address) return false;
  if (destination.address->family() != port.host_address.family()) return false;
  return port.host_address.is_any() || port.host_address == *destination.address;
}

struct Flow {
  std::uint8_t family = 0;
  std::string tuple;  // as the kernel wrote it
  std::optional<std::uint32_t> id;
};

std::vector<Flow> find_flows(const NetlinkSocket& socket, const std::vector<PublishedPort>& ports) {
  NetlinkBatch batch;
  start(batch, IPCTNL_MSG_CT_GET, NLM_F_DUMP, AF_UNSPEC);
  batch.finish("list tracked connections");
  std::vector<Flow> flows;
  socket.query(batch, [&](const nlmsghdr* message) {
    Flow flow;
    flow.family = static_cast<const nfgenmsg*>(mnl_nlmsg_get_payload(message))->nfgen_family;
    for (const nlattr* attribute : attributes_of(message, sizeof(nfgenmsg))) {
      if (mnl_attr_get_type(attribute) == CTA_ID) flow.id = mnl_attr_get_u32(attribute);
      if (mnl_attr_get_type(attribute) != CTA_TUPLE_ORIG) continue;
      const Destination destination = destination_of(attribute);
      const bool is_meant = destination.protocol == IPPROTO_UDP &&
                            std::any_of(ports.begin(), ports.end(),
                                        [&](const PublishedPort& port) { return is_at(destination, port); });
      if (!is_meant) return;
      flow.tuple.assign(static_cast<const char*>(mnl_attr_get_payload(attribute)), mnl_attr_get_payload_len(attribute));
    }
    if (!flow.tuple.empty()) flows.push_back(std::move(flow));
  });
  return flows;
}

}  // namespace

void forget_flows(const std::vector<PublishedPort>& all) {
  std::vector<PublishedPort> ports;
  for (const PublishedPort& port : all) {
    if (port.container.protocol == Protocol::Udp) ports.push_back(port);
  }
  if (ports.empty()) return;
  try {
    const NetlinkSocket socket(NetlinkBus::Netfilter);
    for (const Flow& flow : find_flows(socket, ports)) {
      NetlinkBatch batch;
      nlmsghdr* message = start(batch, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, flow.family);
      mnl_attr_put(message, CTA_TUPLE_ORIG | NLA_F_NESTED, flow.tuple.size(), flow.tuple.data());
      if (flow.id) mnl_attr_put_u32(message, CTA_ID, *flow.id);
      batch.finish("forget a tracked connection", {ENOENT});  // it ended meanwhile
      socket.run(batch);
    }
  } catch (const Error&) {
    // A kernel without this part of netfilter, or no right to it.
  }
}

}  // namespace ctr
