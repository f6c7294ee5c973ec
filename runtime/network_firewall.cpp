#include "runtime/network_firewall.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>

#include <algorithm>
#include <cerrno>

#include "base/error.h"
#include "base/file.h"
#include "runtime/network_firewalld.h"
#include "runtime/network_owner.h"
#include "runtime/nftables.h"

namespace ctr {
namespace {

enum class Place { Docker, Ufw, None };

/// A chain that drops what is forwarded, and the chain of the same table that is meant for exceptions.
struct Blocker {
  ForeignChain chain;
  Place place = Place::None;
  std::string exceptions;
};

const char* family_name(std::uint8_t family) {
  if (family == NFPROTO_IPV4) return "ip";
  return family == NFPROTO_IPV6 ? "ip6" : "inet";
}

bool concerns(std::uint8_t family, const NetworkRecord& record) {
  return family == NFPROTO_IPV4 || family == NFPROTO_INET || (family == NFPROTO_IPV6 && record.ipv6);
}

/// The chain of the same table that is meant for exceptions.
std::pair<Place, std::string> exceptions_of(const std::vector<ForeignChain>& chains, const ForeignChain& chain) {
  std::pair<Place, std::string> found{Place::None, {}};
  for (const ForeignChain& other : chains) {
    if (other.family != chain.family || other.table != chain.table) continue;
    if (other.name == "DOCKER-USER") return {Place::Docker, other.name};
    if (other.name == "ufw-user-forward" || other.name == "ufw6-user-forward") found = {Place::Ufw, other.name};
  }
  return found;
}

std::vector<Blocker> find_blockers(const std::vector<ForeignChain>& chains, const NetworkRecord& record) {
  std::vector<Blocker> blockers;
  for (const ForeignChain& chain : chains) {
    if (chain.hook != std::uint32_t{NF_INET_FORWARD} || chain.policy != std::uint32_t{NF_DROP}) continue;
    if (!concerns(chain.family, record)) continue;
    auto [place, exceptions] = exceptions_of(chains, chain);
    blockers.push_back({chain, place, std::move(exceptions)});
  }
  return blockers;
}

std::string rule_comment(const std::string& bridge) { return "ctr bridge " + bridge; }

bool has_rule(const std::vector<ForeignRule>& rules, const std::string& comment) {
  return std::any_of(rules.begin(), rules.end(), [&](const ForeignRule& rule) { return rule.comment == comment; });
}

NftRule accept_from(const std::string& bridge) {
  NftRule rule;
  rule.in_interface_is(bridge).count().accept();
  return rule;
}

NftRule accept_to(const std::string& bridge) {
  NftRule rule;
  rule.out_interface_is(bridge).count().accept();
  return rule;
}

NftRule accept_answers_to(const std::string& bridge) {
  constexpr std::uint32_t kBits = (1u << (IP_CT_ESTABLISHED + 1)) | (1u << (IP_CT_RELATED + 1));
  NftRule rule;
  rule.out_interface_is(bridge).has_state(kBits).count().accept();
  return rule;
}

void add_exceptions(const NetlinkSocket& socket, const Blocker& blocker, const std::string& bridge) {
  const std::uint8_t family = blocker.chain.family;
  const std::string& table = blocker.chain.table;
  const std::string comment = rule_comment(bridge);
  if (has_rule(list_rules(socket, family, table, blocker.exceptions), comment)) return;
  NftBatch batch;
  batch.insert_rule(family, table, blocker.exceptions, comment, accept_from(bridge));
  batch.insert_rule(family, table, blocker.exceptions, comment,
                    blocker.place == Place::Docker ? accept_to(bridge) : accept_answers_to(bridge));
  batch.commit(socket);
}

/// True the first time that something is to be said since the machine started.
bool is_news(const Paths& paths, const std::string& subject) {
  try {
    create_file_exclusive(paths.run / "networks" / (".told-" + short_hash(subject, 16)), "", Durability::Cached);
    return true;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Exists) throw;
    return false;
  }
}

std::string warning(const Blocker& blocker, const std::string& bridge) {
  const std::string family = family_name(blocker.chain.family);
  const std::string chain = family + " " + blocker.chain.table + " " + blocker.chain.name;
  if (blocker.place == Place::Ufw) {
    return "ufw drops what other hosts send to published ports; open them with: ufw route allow out on " + bridge;
  }
  return "chain " + blocker.chain.name + " of table " + family + " " + blocker.chain.table +
         " drops what is forwarded: containers of bridge " + bridge +
         " reach no other host, and published ports are closed to them; open it with: nft 'insert rule " + chain +
         " iifname " + bridge + " accept; insert rule " + chain + " oifname " + bridge + " accept'";
}

}  // namespace

std::vector<std::string> admit_bridge(const Paths& paths, const NetworkRecord& record) {
  std::vector<std::string> warnings;
  const NetlinkSocket socket(NetlinkBus::Netfilter);
  const std::vector<ForeignChain> chains = list_chains(socket);
  for (const Blocker& blocker : find_blockers(chains, record)) {
    if (blocker.place != Place::None) add_exceptions(socket, blocker, record.bridge);
    const std::string subject = blocker.chain.table + "/" + blocker.chain.name + "/" + record.bridge;
    if (blocker.place != Place::Docker && is_news(paths, subject)) {
      warnings.push_back(warning(blocker, record.bridge));
    }
  }
  const auto is_firewalld = [](const ForeignChain& chain) { return chain.table == "firewalld"; };
  if (std::none_of(chains.begin(), chains.end(), is_firewalld)) return warnings;
  try {
    add_to_trusted_zone(record.bridge);
  } catch (const Error& error) {
    if (!is_news(paths, "firewalld/" + record.bridge)) return warnings;
    warnings.push_back(std::string(error.what()) + ": containers of bridge " + record.bridge +
                       " may reach nothing; open it with: firewall-cmd --zone=trusted --add-interface=" + record.bridge);
  }
  return warnings;
}

std::vector<DroppingChain> dropping_chains() {
  std::vector<ForeignChain> chains;
  try {
    chains = list_chains(NetlinkSocket(NetlinkBus::Netfilter));
  } catch (const Error&) {
    return {};  // no nftables, or no right to look
  }
  std::vector<DroppingChain> dropping;
  for (const ForeignChain& chain : chains) {
    const bool is_forward = chain.hook == std::uint32_t{NF_INET_FORWARD};
    if (!is_forward && chain.hook != std::uint32_t{NF_INET_LOCAL_IN}) continue;
    if (chain.policy != std::uint32_t{NF_DROP}) continue;
    if (chain.family != NFPROTO_IPV4 && chain.family != NFPROTO_IPV6 && chain.family != NFPROTO_INET) continue;
    if (is_forward && exceptions_of(chains, chain).first == Place::Docker) continue;
    DroppingChain found;
    found.name = chain.name + " of table " + family_name(chain.family) + " " + chain.table;
    found.packets = is_forward ? DropsWhat::Forwarded : DropsWhat::Incoming;
    if (chain.family != NFPROTO_INET) found.family = chain.family == NFPROTO_IPV4 ? AddressFamily::V4 : AddressFamily::V6;
    dropping.push_back(std::move(found));
  }
  return dropping;
}

void dismiss_bridge(const NetworkRecord& record) {
  const NetlinkSocket socket(NetlinkBus::Netfilter);
  const std::string comment = rule_comment(record.bridge);
  bool has_firewalld = false;
  for (const ForeignChain& chain : list_chains(socket)) {
    has_firewalld |= chain.table == "firewalld";
    if (chain.name != "DOCKER-USER" && chain.name != "ufw-user-forward" && chain.name != "ufw6-user-forward") continue;
    for (const ForeignRule& rule : list_rules(socket, chain.family, chain.table, chain.name)) {
      if (rule.comment != comment) continue;
      try {
        NftBatch batch;
        batch.delete_rule(chain.family, chain.table, chain.name, rule.handle);
        batch.commit(socket);
      } catch (const Error& error) {
        if (error.error_number() != ENOENT) throw;  // its owner has rebuilt the chain
      }
    }
  }
  if (!has_firewalld) return;
  try {
    remove_from_trusted_zone(record.bridge);
  } catch (const Error&) {
    // firewalld is gone or has forgotten the interface; nothing of ours is left in it.
  }
}

}  // namespace ctr
