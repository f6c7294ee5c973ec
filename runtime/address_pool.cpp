#include "runtime/address_pool.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "base/error.h"
#include "base/random.h"
#include "base/text.h"
#include "runtime/resolver_files.h"

namespace ctr {
namespace {

// Shorter routes, such as a VPN's 0.0.0.0/1, are default routes in disguise and cover everything.
constexpr int kShortestRoute = 4;

// As many subnets of a pool are tried: 10.0.0.0/8 cut into /30 would be millions.
constexpr std::uint64_t kMostSubnets = 65536;

std::vector<AddressPool> usual_pools() {
  std::vector<AddressPool> pools;
  for (int second = 17; second < 32; ++second) {
    pools.push_back({IpPrefix::parse("172." + std::to_string(second) + ".0.0/16"), 16});
  }
  pools.push_back({IpPrefix::parse("192.168.0.0/16"), 20});
  return pools;
}

bool is_used(const IpPrefix& prefix, const std::vector<IpPrefix>& used) {
  return std::any_of(used.begin(), used.end(), [&](const IpPrefix& other) { return other.overlaps(prefix); });
}

/// Whether a container may have it: not the network's own addresses, not the gateway's, not a reserved one.
bool is_assignable(const NetworkSubnet& subnet, const IpAddress& address) {
  if (!subnet.prefix.contains(address) || address == subnet.gateway) return false;
  const bool has_edges = subnet.prefix.length < address.bits() - 1;
  if (has_edges && address == subnet.prefix.network().address) return false;
  if (has_edges && address.is_v4() && address == subnet.prefix.last()) return false;
  return std::none_of(subnet.reserved.begin(), subnet.reserved.end(),
                      [&](const auto& reserved) { return reserved.second == address; });
}

IpAddress claim_asked(const fs::path& leases, const NetworkSubnet& subnet, const IpAddress& asked,
                      const std::string& container_id) {
  if (!is_assignable(subnet, asked)) {
    throw Error(ErrorKind::Invalid, "address " + asked.str() + " cannot be given out: subnet is " +
                                        subnet.prefix.str() + ", gateway " + subnet.gateway.str());
  }
  const fs::path lease = leases / asked.str();
  if (claim_link(lease, container_id)) return asked;
  const std::string holder = find_link(lease).value_or("another container");
  throw Error(ErrorKind::Exists, "Address already in use: " + asked.str() + " is held by container " +
                                     holder.substr(0, 12), EEXIST);
}

}  // namespace

bool claim_link(const fs::path& link, const std::string& holder) {
  if (::symlink(holder.c_str(), link.c_str()) == 0) return true;
  if (errno == EEXIST) return false;
  throw_errno(errno, "create", link.native());
}

void release_link(const fs::path& link, const std::string& holder) {
  if (find_link(link) == holder) ::unlink(link.c_str());
}

std::vector<IpPrefix> used_prefixes(const NetworkLinks& links, const std::vector<NetworkRecord>& records) {
  std::vector<IpPrefix> used;
  for (const Route& route : links.routes()) {
    if (route.destination.length >= kShortestRoute) used.push_back(route.destination);
  }
  // A resolver behind the default route would vanish behind a bridge with its address.
  for (const std::string& server : read_host_resolver_config().nameservers) {
    const std::optional<IpAddress> address = IpAddress::find(server);
    if (address && !address->is_loopback()) used.push_back({*address, address->bits()});
  }
  for (const NetworkRecord& record : records) {
    for (const NetworkSubnet& subnet : record.subnets) used.push_back(subnet.prefix);
  }
  return used;
}

AddressPool AddressPool::parse(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  constexpr std::uint64_t kNone = 99;
  const std::uint64_t size = colon == text.npos ? kNone : parse_uint(text.substr(colon + 1)).value_or(kNone);
  AddressPool pool;
  pool.base = IpPrefix::parse(text.substr(0, colon)).network();
  if (!pool.base.address.is_v4() || size < static_cast<std::uint64_t>(pool.base.length) || size > 30) {
    throw Error(ErrorKind::Invalid, "\"" + text + "\" is no pool of IPv4 addresses with the size of its subnets");
  }
  pool.size = static_cast<int>(size);
  return pool;
}

IpPrefix choose_subnet(const std::vector<IpPrefix>& used, const std::vector<AddressPool>& pools) {
  for (const AddressPool& pool : pools.empty() ? usual_pools() : pools) {
    const std::uint64_t count = std::min(kMostSubnets, std::uint64_t{1} << (pool.size - pool.base.length));
    for (std::uint64_t i = 0; i < count; ++i) {
      const IpPrefix subnet{pool.base.address.plus(i << (32 - pool.size)), pool.size};
      if (!is_used(subnet, used)) return subnet;
    }
  }
  throw Error(ErrorKind::Unavailable,
              pools.empty() ? "no free subnet left: all of 172.17.0.0/16 to 172.31.0.0/16 and 192.168.0.0/16 are in use; "
                              "choose one with --subnet"
                            : "no free subnet left in default-address-pools; choose one with --subnet");
}

IpPrefix choose_subnet_v6(const std::vector<IpPrefix>& used) {
  for (;;) {
    const std::string digits = random_hex(7);  // 40 random bits of the site, 16 of the subnet
    const IpPrefix candidate =
        IpPrefix::parse("fd" + digits.substr(0, 2) + ":" + digits.substr(2, 4) + ":" + digits.substr(6, 4) + ":" +
                        digits.substr(10, 4) + "::/64");
    if (!is_used(candidate, used)) return candidate;
  }
}

NetworkSubnet make_subnet(const IpPrefix& prefix) {
  NetworkSubnet subnet;
  subnet.prefix = prefix.network();
  subnet.gateway = subnet.prefix.address.plus(1);
  return subnet;
}

IpAddress claim_address(const fs::path& leases, const NetworkSubnet& subnet, const std::optional<IpAddress>& asked,
                        const std::string& container_id) {
  if (asked) return claim_asked(leases, subnet, *asked, container_id);
  const IpPrefix range = subnet.range.value_or(subnet.prefix).network();
  std::set<IpAddress> taken;
  for (const std::string& name : list_directory(leases)) {
    if (const std::optional<IpAddress> address = IpAddress::find(name)) taken.insert(*address);
  }
  const IpAddress last = range.last();
  for (IpAddress address = range.address;; address = address.plus(1)) {
    if (!taken.contains(address) && is_assignable(subnet, address) &&
        claim_link(leases / address.str(), container_id)) {
      return address;
    }
    if (address == last) break;
  }
  throw Error(ErrorKind::Unavailable, "no available " + std::string(range.address.is_v4() ? "IPv4" : "IPv6") +
                                          " addresses in " + range.str());
}

void release_address(const fs::path& leases, const IpAddress& address, const std::string& container_id) {
  release_link(leases / address.str(), container_id);
}

}  // namespace ctr
