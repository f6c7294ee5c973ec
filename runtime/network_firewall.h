// Living beside another firewall: in nftables a drop is final, whoever says it, so rules of our own cannot let packets
// pass that somebody else's forward chain drops. Where there is a place meant for such exceptions our bridges are put
// there, and taken out again with their last container; where there is none the user is told, once.
//
//   Docker     FORWARD drops, DOCKER-USER is for the administrator: our bridges may do what Docker's may.
//   ufw        FORWARD drops, ufw-user-forward holds `ufw route` rules: containers reach out; who may come in to a
//              published port stays ufw's decision.
//   firewalld  the bridge joins the zone `trusted`, by D-Bus.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/paths.h"
#include "runtime/network_address.h"
#include "runtime/network_record.h"

namespace ctr {

/// Lets the bridge through where that can be done; returns what the user has to know, each thing once a boot.
std::vector<std::string> admit_bridge(const Paths& paths, const NetworkRecord& record);

enum class DropsWhat { Forwarded, Incoming };

/// A chain of somebody else's that drops what none of its rules accepts, and may so close published ports to strangers.
struct DroppingChain {
  std::string name;  // "FORWARD of table ip filter"
  DropsWhat packets = DropsWhat::Forwarded;
  std::optional<AddressFamily> family;  // absent: both

  friend bool operator==(const DroppingChain&, const DroppingChain&) = default;
};

/// Those of this machine but Docker's, in which our bridges have an exception for everybody. Empty also when they
/// cannot be read. Rules of the old iptables (not nf_tables) are not seen.
std::vector<DroppingChain> dropping_chains();

/// Undoes it. Absence is fine.
void dismiss_bridge(const NetworkRecord& record);

}  // namespace ctr
