#include "runtime/network_rules.h"

#include <linux/netfilter/nf_conntrack_common.h>
#include <netinet/in.h>

#include <cerrno>

#include "base/error.h"
#include "base/lock.h"
#include "base/random.h"
#include "runtime/network_owner.h"
#include "runtime/nftables.h"

namespace ctr {
namespace {

const IpPrefix kLoopbackPrefix{IpAddress::loopback(AddressFamily::V4), 8};

// Sets and maps.
constexpr const char* kBridges = "bridges";        // all bridges of this store
constexpr const char* kInternal = "internal";      // those without a way out
constexpr const char* kPairs = "pairs";            // from . to: where traffic between containers may pass
constexpr const char* kMasquerade = "masquerade";  // bridges whose containers use the host's address outside
constexpr const char* kHairpin = "hairpin";        // to . from: a bridge and the addresses of its own containers
constexpr const char* kHairpin6 = "hairpin6";
constexpr const char* kPorts = "ports";            // protocol . port -> address . port
constexpr const char* kPortsAt = "ports_at";       // host address . protocol . port -> address . port
constexpr const char* kPorts6 = "ports6";
constexpr const char* kPorts6At = "ports6_at";

// Priorities of the hooks, as nft(8) calls them: raw, dstnat, filter, srcnat.
constexpr int kRaw = -300;
constexpr int kDstnat = -100;
constexpr int kFilter = 0;
constexpr int kSrcnat = 100;

std::uint8_t protocol_number(Protocol protocol) {
  switch (protocol) {
    case Protocol::Udp: return IPPROTO_UDP;
    case Protocol::Sctp: return IPPROTO_SCTP;
    case Protocol::Tcp: break;
  }
  return IPPROTO_TCP;
}

std::uint32_t state_bits() {
  // NF_CT_STATE_BIT(x) is 1 << (x % IP_CT_IS_REPLY + 1).
  return (1u << (IP_CT_ESTABLISHED + 1)) | (1u << (IP_CT_RELATED + 1));
}

void add_sets(NftBatch& batch, const std::string& table) {
  using enum NftType;
  batch.add_set(table, {kBridges, {Interface}, {}});
  batch.add_set(table, {kInternal, {Interface}, {}});
  batch.add_set(table, {kPairs, {Interface, Interface}, {}});
  batch.add_set(table, {kMasquerade, {Interface}, {}});
  batch.add_set(table, {kHairpin, {Interface, Address}, {}, true});
  batch.add_set(table, {kHairpin6, {Interface, AddressV6}, {}, true});
  batch.add_set(table, {kPorts, {Protocol, Port}, {Address, Port}});
  batch.add_set(table, {kPortsAt, {Address, Protocol, Port}, {Address, Port}});
  batch.add_set(table, {kPorts6, {Protocol, Port}, {AddressV6, Port}});
  batch.add_set(table, {kPorts6At, {AddressV6, Protocol, Port}, {AddressV6, Port}});
}

/// "dnat to address . protocol . port map @at", then the same for every local address.
void add_translation(NftBatch& batch, const std::string& table, const std::string& chain, AddressFamily family) {
  const bool v4 = family == AddressFamily::V4;
  const unsigned words = v4 ? 1 : 4;
  batch.add_rule(table, chain,
                 std::move(NftRule()
                               .is_family(family)
                               .destination_is_local()
                               .load_destination(family, 0)
                               .load_protocol(words)
                               .load_destination_port(words + 1)
                               .look_up(v4 ? kPortsAt : kPorts6At, 0, 8)
                               .translate_destination(family, 8, 8 + words)));
  NftRule every;
  every.is_family(family);
  // [::1] cannot be translated: packets from it never leave the loopback. The forwarder takes it.
  if (!v4) every.destination_not_in({IpAddress::loopback(AddressFamily::V6), 128});
  every.destination_is_local().load_protocol(0).load_destination_port(1).look_up(v4 ? kPorts : kPorts6, 0, 8);
  every.translate_destination(family, 8, 8 + words);
  batch.add_rule(table, chain, std::move(every));
}

// Bridges of ours have route_localnet, so that replies to what came from 127.0.0.1 find their way; without this rule
// containers would reach what the host keeps on its loopback (CVE-2020-8558). Nothing that comes in by an interface is
// addressed to 127.0.0.0/8 at this point: replies still carry the masquerade address, translation comes later. The rule
// also keeps neighbours off ports that are published on 127.0.0.1, and off all of it if route_localnet is on everywhere.
void add_loopback_guard(NftBatch& batch, const std::string& table) {
  batch.add_chain(table, {"guard", "filter", NftHook::Prerouting, kRaw});
  batch.add_rule(table, "guard",
                 std::move(NftRule()
                               .is_family(AddressFamily::V4)
                               .in_interface_is_not("lo")
                               .destination_in(kLoopbackPrefix)
                               .drop()));
}

void add_forward_chain(NftBatch& batch, const std::string& table) {
  batch.add_chain(table, {"forward", "filter", NftHook::Forward, kFilter});
  const auto add = [&](NftRule& rule) { batch.add_rule(table, "forward", std::move(rule)); };
  add(NftRule().interfaces_in(kPairs).accept());
  add(NftRule().in_interface_in(kInternal).drop());
  add(NftRule().out_interface_in(kInternal).drop());
  add(NftRule().out_interface_in(kBridges).has_state(state_bits()).accept());
  add(NftRule().out_interface_in(kBridges).has_status(IPS_DST_NAT).accept());
  // Strangers who route to a container's address directly, and containers of other networks.
  add(NftRule().out_interface_in(kBridges).drop());
}

void add_postrouting_chain(NftBatch& batch, const std::string& table) {
  batch.add_chain(table, {"postrouting", "nat", NftHook::Postrouting, kSrcnat});
  const auto add = [&](NftRule& rule) { batch.add_rule(table, "postrouting", std::move(rule)); };
  // Hairpin: who calls a published port from the same bridge must get the answer from the address it called. Told by
  // the source's address: where br_netfilter has the bridge call us there is no incoming interface here.
  using enum AddressFamily;
  add(NftRule().is_family(V4).has_status(IPS_DST_NAT).out_interface_and_source_in(V4, kHairpin).masquerade());
  add(NftRule().is_family(V6).has_status(IPS_DST_NAT).out_interface_and_source_in(V6, kHairpin6).masquerade());
  add(NftRule().is_family(AddressFamily::V4).out_interface_in(kBridges).source_in(kLoopbackPrefix).masquerade());
  add(NftRule().in_interface_in(kMasquerade).out_interface_not_in(kBridges).masquerade());
}

void add_table(NftBatch& batch, const Paths& paths) {
  const std::string table = rule_table_name(paths);
  batch.add_table(table, owner_mark(paths));
  add_sets(batch, table);
  add_loopback_guard(batch, table);
  for (const auto& [chain, hook] : {std::pair{"prerouting", NftHook::Prerouting}, {"output", NftHook::Output}}) {
    batch.add_chain(table, {chain, "nat", hook, kDstnat});
    add_translation(batch, table, chain, AddressFamily::V4);
    add_translation(batch, table, chain, AddressFamily::V6);
  }
  add_forward_chain(batch, table);
  add_postrouting_chain(batch, table);
}

NftElement interface_element(const std::string& name) {
  return {std::move(NftValue().interface(name)), std::nullopt, std::nullopt};
}

NftElement pair_element(const std::string& name) {
  return {std::move(NftValue().interface(name).interface(name)), std::nullopt, std::nullopt};
}

NftElement hairpin_element(const std::string& bridge, const IpPrefix& subnet) {
  NftElement element;
  element.key.interface(bridge).address(subnet.network().address);
  element.key_end.emplace().interface(bridge).address(subnet.last());
  return element;
}

const char* map_of(const PortRule& port) {
  if (port.target.is_v4()) return port.host_address ? kPortsAt : kPorts;
  return port.host_address ? kPorts6At : kPorts6;
}

NftElement port_element(const PortRule& port) {
  NftElement element;
  if (port.host_address) element.key.address(*port.host_address);
  element.key.protocol(protocol_number(port.protocol)).port(port.host_port);
  element.data.emplace().address(port.target).port(port.target_port);
  return element;
}

/// Elements by the set they belong to.
std::vector<std::pair<const char*, std::vector<NftElement>>> sorted(const RuleElements& elements) {
  std::vector<std::pair<const char*, std::vector<NftElement>>> sets;
  const auto list = [&](const char* set) -> std::vector<NftElement>& {
    for (auto& [name, members] : sets) {
      if (name == set) return members;
    }
    return sets.emplace_back(set, std::vector<NftElement>()).second;
  };
  for (const BridgeRules& bridge : elements.bridges) {
    list(kBridges).push_back(interface_element(bridge.bridge));
    if (!bridge.isolated) list(kPairs).push_back(pair_element(bridge.bridge));
    for (const IpPrefix& subnet : bridge.subnets) {
      list(subnet.address.is_v4() ? kHairpin : kHairpin6).push_back(hairpin_element(bridge.bridge, subnet));
    }
    if (bridge.internal) list(kInternal).push_back(interface_element(bridge.bridge));
    if (bridge.masquerade && !bridge.internal) list(kMasquerade).push_back(interface_element(bridge.bridge));
  }
  for (const PortRule& port : elements.ports) list(map_of(port)).push_back(port_element(port));
  return sets;
}

void put_elements(NftBatch& batch, const std::string& table, const RuleElements& elements) {
  for (const auto& [set, members] : sorted(elements)) batch.add_elements(table, set, members);
}

/// Each element by itself, so that one that is missing does not keep the others.
void remove_one_by_one(const NetlinkSocket& socket, const std::string& table, const RuleElements& elements) {
  for (const auto& [set, members] : sorted(elements)) {
    for (const NftElement& element : members) {
      try {
        NftBatch batch;
        batch.delete_elements(table, set, {element});
        batch.commit(socket);
      } catch (const Error& error) {
        if (error.error_number() != ENOENT) throw;
      }
    }
  }
}

/// Nothing when there is no such table; throws Busy when it is somebody else's.
bool has_own_table(const NetlinkSocket& socket, const Paths& paths) {
  const std::string table = rule_table_name(paths);
  const std::optional<std::string> mark = find_table_mark(socket, table);
  if (mark && *mark != owner_mark(paths)) {
    throw Error(ErrorKind::Busy, "nftables table inet " + table + " belongs to somebody else (\"" + *mark + "\")");
  }
  return mark.has_value();
}

void add_once(const NetlinkSocket& socket, const Paths& paths, const RuleElements& elements) {
  const std::string table = rule_table_name(paths);
  try {
    NftBatch batch;
    put_elements(batch, table, elements);
    batch.commit(socket);
  } catch (const Error& error) {
    if (error.error_number() != EEXIST) throw;
    // A dead container's ports that nobody has tidied up yet.
    remove_one_by_one(socket, table, {{}, elements.ports});
    NftBatch batch;
    put_elements(batch, table, elements);
    batch.commit(socket);
  }
}

}  // namespace

std::string rule_table_name(const Paths& paths) { return "ctr" + owner_suffix(paths); }

void add_rule_elements(const Paths& paths, const RuleElements& elements,
                       const std::function<RuleElements()>& everything) {
  const NetlinkSocket socket(NetlinkBus::Netfilter);
  try {
    return add_once(socket, paths, elements);
  } catch (const Error& error) {
    if (error.error_number() != ENOENT) throw;
  }
  const FileLock lock = FileLock::acquire(paths.run / "networks" / ".rules.lock", LockMode::Exclusive);
  if (has_own_table(socket, paths)) return add_once(socket, paths, elements);
  NftBatch batch;
  add_table(batch, paths);
  put_elements(batch, rule_table_name(paths), everything());
  batch.commit(socket);
}

void remove_rule_elements(const Paths& paths, const RuleElements& elements) {
  if (elements.bridges.empty() && elements.ports.empty()) return;
  const NetlinkSocket socket(NetlinkBus::Netfilter);
  const std::string table = rule_table_name(paths);
  try {
    NftBatch batch;
    for (const auto& [set, members] : sorted(elements)) batch.delete_elements(table, set, members);
    batch.commit(socket);
  } catch (const Error& error) {
    if (error.error_number() != ENOENT) throw;
    remove_one_by_one(socket, table, elements);
  }
}

void remove_rule_table(const Paths& paths) {
  const FileLock lock = FileLock::acquire(paths.run / "networks" / ".rules.lock", LockMode::Exclusive);
  const NetlinkSocket socket(NetlinkBus::Netfilter);
  if (!has_own_table(socket, paths)) return;
  NftBatch batch;
  batch.delete_table(rule_table_name(paths));
  batch.commit(socket);
}

std::optional<std::string> why_no_nftables() {
  try {
    const NetlinkSocket socket(NetlinkBus::Netfilter);
    // A transaction that makes what we need and takes it away again changes nothing, and shows the right to make one
    // and the kernel's parts for it: the family inet, and translation.
    const std::string probe = "ctr-probe-" + random_hex(4);
    NftBatch batch;
    batch.add_table(probe, "ctr probe");
    batch.add_chain(probe, {"probe", "nat", NftHook::Prerouting, kDstnat});
    batch.delete_table(probe);
    batch.commit(socket);
    return std::nullopt;
  } catch (const Error& error) {
    return error.what();
  }
}

void redirect_resolver(int netns, std::uint16_t udp_port, std::uint16_t tcp_port) {
  const NetlinkSocket socket(NetlinkBus::Netfilter, netns);
  const IpPrefix resolver{IpAddress::parse("127.0.0.11"), 32};
  NftBatch batch;
  batch.add_table("ctr-dns", "ctr resolver");
  batch.add_chain("ctr-dns", {"output", "filter", NftHook::Output, kRaw});
  for (const auto& [protocol, port] : {std::pair{IPPROTO_UDP, udp_port}, {IPPROTO_TCP, tcp_port}}) {
    const auto number = static_cast<std::uint8_t>(protocol);
    batch.add_rule("ctr-dns", "output",
                   std::move(NftRule()
                                 .is_family(AddressFamily::V4)
                                 .destination_in(resolver)
                                 .is_protocol(number)
                                 .destination_port_is(53)
                                 .set_destination_port(port)));
    batch.add_rule("ctr-dns", "output",
                   std::move(NftRule()
                                 .is_family(AddressFamily::V4)
                                 .source_in(resolver)
                                 .is_protocol(number)
                                 .source_port_is(port)
                                 .set_source_port(53)));
  }
  batch.commit(socket);
}

}  // namespace ctr
