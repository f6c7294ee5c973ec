#include "runtime/network_members.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "base/error.h"
#include "base/time.h"
#include "runtime/network_bridge.h"
#include "runtime/network_owner.h"

namespace ctr {
namespace {

constexpr int kVersion = 1;
constexpr std::uint64_t kLongestRecord = 64 * kMiB;  // 65536 ports are legal
constexpr const char* kLockSuffix = ".lock";

fs::path members_directory(const Paths& paths) { return paths.run / "networks" / ".members"; }

bool is_same_file(int fd, const fs::path& path) {
  struct stat held {};
  struct stat named {};
  return ::fstat(fd, &held) == 0 && ::stat(path.c_str(), &named) == 0 && held.st_ino == named.st_ino &&
         held.st_dev == named.st_dev;
}

Json to_json(const Endpoint& endpoint) {
  Json json = Json::object();
  json["network"] = endpoint.network;
  json["network_id"] = endpoint.network_id;
  json["id"] = endpoint.id;
  json["interface"] = endpoint.interface;
  json["host_interface"] = endpoint.host_interface;
  json["mac"] = endpoint.mac.str();
  if (endpoint.address) json["address"] = endpoint.address->str();
  if (endpoint.gateway) json["gateway"] = endpoint.gateway->str();
  if (endpoint.address_v6) json["address_v6"] = endpoint.address_v6->str();
  if (endpoint.gateway_v6) json["gateway_v6"] = endpoint.gateway_v6->str();
  json["names"] = endpoint.names;
  json["aliases"] = endpoint.aliases;
  json["gateway_priority"] = endpoint.gateway_priority;
  json["internal"] = endpoint.internal;
  return json;
}

Endpoint endpoint_from_json(const Json& json) {
  Endpoint endpoint;
  endpoint.network = json.require_string("network");
  endpoint.network_id = json.require_string("network_id");
  endpoint.id = json.require_string("id");
  endpoint.interface = json.require_string("interface");
  endpoint.host_interface = json.require_string("host_interface");
  endpoint.mac = MacAddress::parse(json.require_string("mac"));
  if (const auto address = json.find_string("address")) endpoint.address = IpPrefix::parse(*address);
  if (const auto gateway = json.find_string("gateway")) endpoint.gateway = IpAddress::parse(*gateway);
  if (const auto address = json.find_string("address_v6")) endpoint.address_v6 = IpPrefix::parse(*address);
  if (const auto gateway = json.find_string("gateway_v6")) endpoint.gateway_v6 = IpAddress::parse(*gateway);
  endpoint.names = json.strings("names");
  endpoint.aliases = json.strings("aliases");
  endpoint.gateway_priority = json.int_or("gateway_priority");
  endpoint.internal = json.bool_or("internal");
  return endpoint;
}

}  // namespace

fs::path member_directory(const Paths& paths, const std::string& container_id) {
  return members_directory(paths) / container_id;
}
fs::path member_resolve_directory(const Paths& paths, const std::string& container_id) {
  return member_directory(paths, container_id) / "resolve";
}
fs::path member_network_link(const Paths& paths, const std::string& container_id, const std::string& network) {
  return member_resolve_directory(paths, container_id) / network;
}

std::optional<MemberLock> MemberLock::acquire(const Paths& paths, const std::string& container_id,
                                              std::chrono::milliseconds patience) {
  make_directories(members_directory(paths));
  const fs::path path = members_directory(paths) / (container_id + kLockSuffix);
  const std::int64_t deadline = monotonic_ms() + patience.count();
  for (;;) {
    Fd file = open_file(path, O_RDWR | O_CREAT, 0600);
    while (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK && errno != EINTR) throw_errno(errno, "lock", path.native());
      if (monotonic_ms() >= deadline) return std::nullopt;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    // Its former holder may have removed it while we waited: then the lock is on a file that nobody else sees.
    if (is_same_file(file.get(), path)) return MemberLock(std::move(file), path);
  }
}

Fd MemberLock::share() const { return duplicate(file_.get()); }

void MemberLock::remove_file() { ::unlink(path_.c_str()); }

Json to_json(const ContainerNetwork& network) {
  Json json = Json::object();
  json["v"] = kVersion;
  json["netns"] = network.netns.string();
  json["container_name"] = network.container_name;
  json["endpoints"] = Json::array();
  for (const Endpoint& endpoint : network.endpoints) json["endpoints"].push_back(to_json(endpoint));
  json["ports"] = Json::array();
  for (const PublishedPort& port : network.ports) json["ports"].push_back(to_json(port));
  json["dns"] = network.dns.nameservers;
  json["dns_search"] = network.dns.search;
  json["dns_options"] = network.dns.options;
  json["warnings"] = network.warnings;
  return json;
}

ContainerNetwork container_network_from_json(const Json& json) {
  if (json.require_int("v") > kVersion) throw Error(ErrorKind::Unavailable, "network was written by a newer ctr");
  ContainerNetwork network;
  network.netns = json.require_string("netns");
  network.container_name = json.string_or("container_name");
  for (const Json& endpoint : json.elements("endpoints")) network.endpoints.push_back(endpoint_from_json(endpoint));
  for (const Json& port : json.elements("ports")) network.ports.push_back(published_port_from_json(port));
  network.dns = {json.strings("dns"), json.strings("dns_search"), json.strings("dns_options")};
  network.warnings = json.strings("warnings");
  return network;
}

FileLock lock_member_record(const Paths& paths, const std::string& container_id) {
  const fs::path directory = member_directory(paths, container_id);
  if (!path_exists(directory)) {
    throw Error(ErrorKind::NotFound, "container " + container_id.substr(0, 12) + " has no network");
  }
  return FileLock::acquire(directory / "record.lock", LockMode::Exclusive);
}

void save_member(const Paths& paths, const std::string& container_id, const ContainerNetwork& network) {
  write_file_atomic(member_directory(paths, container_id) / "network.json", to_json(network).dump(),
                    Durability::Cached);
}

std::optional<ContainerNetwork> find_container_network(const Paths& paths, const std::string& container_id) {
  const fs::path path = member_directory(paths, container_id) / "network.json";
  const std::optional<std::string> text = find_file(path, kLongestRecord);
  if (!text) return std::nullopt;
  return in_context(path.string(), [&] { return container_network_from_json(Json::parse(*text)); });
}

std::vector<std::string> network_members(const Paths& paths) {
  std::vector<std::string> members;
  for (const std::string& name : list_directory(members_directory(paths))) {
    if (name.ends_with(kLockSuffix)) members.push_back(name.substr(0, name.size() - 5));
  }
  return members;
}

const Endpoint* gateway_endpoint(const ContainerNetwork& network, AddressFamily family) {
  const Endpoint* best = nullptr;
  for (const Endpoint& endpoint : network.endpoints) {
    const bool has_gateway = family == AddressFamily::V4 ? endpoint.gateway.has_value() : endpoint.gateway_v6.has_value();
    if (endpoint.internal || !has_gateway) continue;
    if (best == nullptr || endpoint.gateway_priority > best->gateway_priority) best = &endpoint;
  }
  return best;
}

const Endpoint* primary_endpoint(const ContainerNetwork& network) {
  const Endpoint* v4 = gateway_endpoint(network, AddressFamily::V4);
  return v4 != nullptr ? v4 : gateway_endpoint(network, AddressFamily::V6);
}

std::vector<PortRule> port_rules(const ContainerNetwork& network, const std::vector<PublishedPort>& ports) {
  const Endpoint* v4 = gateway_endpoint(network, AddressFamily::V4);
  const Endpoint* v6 = gateway_endpoint(network, AddressFamily::V6);
  std::vector<PortRule> rules;
  for (const PublishedPort& port : ports) {
    PortRule rule;
    rule.protocol = port.container.protocol;
    rule.host_port = port.host_port;
    rule.target_port = port.container.port;
    if (!port.host_address.is_any()) rule.host_address = port.host_address;
    if (port.host_address.is_v4() && v4 != nullptr) {
      rule.target = v4->address->address;
    } else if (port.host_address.is_v6() && v6 != nullptr && !port.host_address.is_loopback()) {
      rule.target = v6->address_v6->address;
    } else {
      continue;  // the forwarder's
    }
    rules.push_back(rule);
  }
  return rules;
}

RuleElements all_rule_elements(const Paths& paths) {
  RuleElements elements;
  for (const NetworkRecord& record : list_networks(paths)) {
    if (!list_directory(network_directory(paths, record.name) / "leases").empty()) {
      elements.bridges.push_back(bridge_rules(record));
    }
  }
  for (const std::string& member : network_members(paths)) {
    const std::optional<ContainerNetwork> network = find_container_network(paths, member);
    if (!network) continue;
    for (PortRule& rule : port_rules(*network, network->ports)) elements.ports.push_back(rule);
  }
  return elements;
}

std::string host_interface_name(const std::string& container_id, const std::string& network) {
  return "ctr" + short_hash(container_id + "/" + network, 10);
}

}  // namespace ctr
