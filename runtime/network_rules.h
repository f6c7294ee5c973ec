// The nftables table of a store: what is published, who may reach whom, what leaves under the host's address. The rules
// never change; bridges and ports are elements of its sets and maps, so the thousandth port costs what the first did.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/paths.h"
#include "runtime/network_address.h"
#include "runtime/port_binding.h"

namespace ctr {

struct BridgeRules {
  std::string bridge;
  std::vector<IpPrefix> subnets;
  bool internal = false;    // nothing goes in or out
  bool isolated = false;    // its containers do not reach each other
  bool masquerade = true;
};

/// A published port that the kernel translates. One without a host address is published on every address of the target's
/// family.
struct PortRule {
  Protocol protocol = Protocol::Tcp;
  std::optional<IpAddress> host_address;
  std::uint16_t host_port = 0;
  IpAddress target;
  std::uint16_t target_port = 0;
};

struct RuleElements {
  std::vector<BridgeRules> bridges;
  std::vector<PortRule> ports;
};

/// Adds elements; those that exist stay. A port that is there with another target is replaced: the caller holds the
/// port. When the table is missing (first container, or somebody flushed the rules) it is made with what `everything`
/// returns, which must hold the new elements too.
void add_rule_elements(const Paths& paths, const RuleElements& elements, const std::function<RuleElements()>& everything);

/// Removes elements; absence is fine.
void remove_rule_elements(const Paths& paths, const RuleElements& elements);

/// Removes the table if it is ours. Absence is fine.
void remove_rule_table(const Paths& paths);

/// Whether this machine lets us use nftables, and if not why.
std::optional<std::string> why_no_nftables();

std::string rule_table_name(const Paths& paths);

/// Inside a container's namespace: port 53 of 127.0.0.11 is served on `port` of the same address, so that a program that
/// wants port 53 for itself gets it. Without connection tracking, which would cost every packet of the container.
void redirect_resolver(int netns, std::uint16_t udp_port, std::uint16_t tcp_port);

}  // namespace ctr
