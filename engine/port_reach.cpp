#include "engine/port_reach.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "runtime/bridge_namespace.h"
#include "runtime/bridge_network.h"
#include "runtime/network_members.h"
#include "runtime/network_rules.h"

namespace ctr {
namespace {

/// The first chain that decides about strangers' packets to such a port.
const DroppingChain* find_gate(const std::vector<DroppingChain>& foreign, AddressFamily family, PortCarrier carrier) {
  const DropsWhat packets = carrier == PortCarrier::Kernel ? DropsWhat::Forwarded : DropsWhat::Incoming;
  const auto found = std::find_if(foreign.begin(), foreign.end(), [&](const DroppingChain& chain) {
    return chain.packets == packets && (!chain.family || *chain.family == family);
  });
  return found == foreign.end() ? nullptr : &*found;
}

}  // namespace

std::string reach_words(const PortSummary& port, PortCarrier carrier, const std::vector<DroppingChain>& foreign) {
  const std::optional<IpAddress> address = IpAddress::find(port.ip);
  if (!address || port.public_port == 0) return "from containers on the same networks";
  if (address->is_loopback()) return "from this host only";
  const AddressFamily family = address->is_v4() ? AddressFamily::V4 : AddressFamily::V6;
  std::string words = address->is_any() ? "from this host, its neighbours and its containers" : "from whoever reaches " + port.ip;
  if (const DroppingChain* gate = find_gate(foreign, family, carrier)) {
    words = "from this host; from others what chain " + gate->name + " accepts, which drops by default";
  }
  if (carrier == PortCarrier::Shim) words += "; the container does not see the client's address";
  return words;
}

PortReach::PortReach(Context& context) : context_(context) {
  std::tie(foreign_, has_kernel_path_) = with_bridges(
      context.paths(), [] { return std::make_pair(dropping_chains(), !why_no_nftables().has_value()); });
}

std::string PortReach::words(const ContainerRecord& record, const PortSummary& port) const {
  PortCarrier carrier = has_kernel_path_ ? PortCarrier::Kernel : PortCarrier::Shim;
  if (const auto network = find_container_network(context_.paths(), record.id)) {
    for (const PublishedPort& published : network->ports) {
      if (published.host_port != port.public_port || published.host_address.str() != port.ip) continue;
      if (port_rules(*network, {published}).empty()) carrier = PortCarrier::Shim;
    }
  }
  return reach_words(port, carrier, foreign_);
}

}  // namespace ctr
