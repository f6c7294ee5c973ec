#include "engine/networks.h"

#include <algorithm>
#include <cerrno>
#include <set>

#include "base/error.h"
#include "base/random.h"
#include "base/text.h"
#include "base/time.h"
#include "engine/container_store.h"
#include "engine/containers.h"
#include "engine/events.h"
#include "engine/network_names.h"
#include "runtime/address_pool.h"
#include "runtime/bridge_namespace.h"
#include "runtime/bridge_network.h"
#include "runtime/network_owner.h"

namespace ctr {
namespace {

constexpr std::size_t kLongestInterfaceName = 15;

bool is_network_name(const std::string& name) {
  const auto is_alphanumeric = [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  const auto is_next = [&](unsigned char c) { return is_alphanumeric(c) || c == '_' || c == '.' || c == '-'; };
  return !name.empty() && name.size() < 200 && is_alphanumeric(static_cast<unsigned char>(name.front())) &&
         std::all_of(name.begin(), name.end(), is_next);
}

void check_name(const Paths& paths, const std::string& name) {
  if (!is_network_name(name)) {
    throw Error(ErrorKind::Invalid, "\"" + name + "\" includes invalid characters for a network name, only "
                                        "\"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed");
  }
  if (is_predefined_network(name)) {
    throw Error(ErrorKind::Denied, "operation is not permitted on predefined " + name + " network");
  }
  const auto records = list_networks(paths);
  if (std::any_of(records.begin(), records.end(), [&](const NetworkRecord& other) { return other.name == name; })) {
    throw Error(ErrorKind::Exists, "network with name " + name + " already exists", EEXIST);
  }
}

void check_driver(const std::string& driver) {
  if (driver.empty() || driver == "bridge") return;
  if (driver == "host" || driver == "null") {
    throw Error(ErrorKind::Denied, "only one instance of \"" + driver + "\" network is allowed");
  }
  throw Error(ErrorKind::NotFound, "could not find plugin " + driver + ": networks are made with the driver bridge only");
}

/// Parses a text and says which flag it came from when it is wrong.
template <typename Parse>
auto parse_value(const std::string& what, const std::string& text, Parse parse) {
  return in_context(what, [&] { return parse(text); });
}

NetworkSubnet subnet_of(const IpamPool& pool) {
  const IpPrefix prefix = parse_value("invalid subnet " + pool.subnet, pool.subnet, IpPrefix::parse);
  if (!(prefix == prefix.network())) {
    throw Error(ErrorKind::Invalid,
                "invalid network config: invalid subnet " + pool.subnet + ": it should be " + prefix.network().str());
  }
  NetworkSubnet subnet = make_subnet(prefix);
  if (prefix.length > prefix.address.bits() - 2) {
    throw Error(ErrorKind::Invalid, "invalid network config: subnet " + pool.subnet + " has no room for containers");
  }
  if (!pool.gateway.empty()) subnet.gateway = parse_value("invalid gateway", pool.gateway, IpAddress::parse);
  if (!pool.ip_range.empty()) {
    subnet.range = parse_value("invalid ip-range " + pool.ip_range, pool.ip_range, IpPrefix::parse).network();
    if (!prefix.contains(subnet.range->address) || subnet.range->length < prefix.length) {
      throw Error(ErrorKind::Invalid, "invalid network config: ip-range " + pool.ip_range + " is not in subnet " +
                                          pool.subnet);
    }
  }
  for (const auto& [name, address] : pool.reserved) subnet.reserved[name] = IpAddress::parse(address);
  if (!prefix.contains(subnet.gateway)) {
    throw Error(ErrorKind::Invalid, "invalid network config: gateway " + pool.gateway + " is not in subnet " + pool.subnet);
  }
  return subnet;
}

bool has_family(const std::vector<NetworkSubnet>& subnets, AddressFamily family) {
  return std::any_of(subnets.begin(), subnets.end(),
                     [&](const NetworkSubnet& subnet) { return subnet.prefix.address.family() == family; });
}

std::vector<AddressPool> address_pools(const Context& context) {
  std::vector<AddressPool> pools;
  for (const std::string& text : context.configuration().address_pools) pools.push_back(AddressPool::parse(text));
  return pools;
}

std::vector<NetworkSubnet> choose_subnets(const Context& context, const CreateNetworkRequest& request) {
  const Paths& paths = context.paths();
  std::vector<IpPrefix> used =
      with_bridges(paths, [&] { return used_prefixes(NetworkLinks(), list_networks(paths)); });
  std::vector<NetworkSubnet> subnets;
  for (const IpamPool& pool : request.pools) {
    if (pool.subnet.empty()) {
      throw Error(ErrorKind::Invalid, "invalid network config: gateway, ip-range and aux-address need a subnet");
    }
    const NetworkSubnet subnet = subnet_of(pool);
    if (subnet.prefix.address.is_v6() ? !request.ipv6 : !request.ipv4) {
      throw Error(ErrorKind::Invalid, "invalid network config: subnet " + pool.subnet + " needs --" +
                                          (subnet.prefix.address.is_v6() ? "ipv6" : "ipv4"));
    }
    for (const IpPrefix& other : used) {
      if (!other.overlaps(subnet.prefix)) continue;
      throw Error(ErrorKind::Denied, "invalid pool request: Pool overlaps with other one on this address space: " +
                                         subnet.prefix.str() + " with " + other.str());
    }
    used.push_back(subnet.prefix);
    subnets.push_back(subnet);
  }
  if (request.ipv4 && !has_family(subnets, AddressFamily::V4)) {
    subnets.insert(subnets.begin(), make_subnet(choose_subnet(used, address_pools(context))));
  }
  if (request.ipv6 && !has_family(subnets, AddressFamily::V6)) subnets.push_back(make_subnet(choose_subnet_v6(used)));
  return subnets;
}

std::string option(const StringMap& options, const std::string& key) {
  const auto found = options.find(key);
  return found == options.end() ? std::string() : found->second;
}

bool flag_option(const StringMap& options, const std::string& key, bool otherwise) {
  const std::string text = option(options, key);
  if (text.empty()) return otherwise;
  if (const std::optional<bool> value = parse_bool(text)) return *value;
  throw Error(ErrorKind::Invalid, "invalid value for option " + key + ": " + text);
}

/// Options that say something about a bridge: those that are known, and those whose only value here is the usual one.
void check_options(const StringMap& options) {
  static const std::set<std::string> kKnown = {
      "com.docker.network.bridge.enable_icc", "com.docker.network.bridge.enable_ip_masquerade",
      "com.docker.network.bridge.host_binding_ipv4", "com.docker.network.bridge.name",
      "com.docker.network.container_iface_prefix", "com.docker.network.driver.mtu"};
  static const std::map<std::string, std::string> kFixed = {{"com.docker.network.bridge.default_bridge", "false"},
                                                            {"com.docker.network.bridge.gateway_mode_ipv4", "nat"},
                                                            {"com.docker.network.bridge.gateway_mode_ipv6", "nat"},
                                                            {"com.docker.network.bridge.inhibit_ipv4", "false"}};
  for (const auto& [key, value] : options) {
    const auto fixed = kFixed.find(key);
    if (!key.starts_with("com.docker.network.") || kKnown.contains(key)) continue;
    if (fixed == kFixed.end()) throw Error(ErrorKind::Invalid, "option " + key + " is not known");
    if (value == fixed->second) continue;
    throw Error(ErrorKind::Invalid, "option " + key + "=" + value + " is not supported: it can only be " + fixed->second);
  }
}

void apply_options(NetworkRecord& record) {
  const StringMap& options = record.options;
  check_options(options);
  record.interface_prefix = option(options, "com.docker.network.container_iface_prefix");
  if (record.interface_prefix.size() > kLongestInterfaceName - 3 ||
      record.interface_prefix.find_first_of("/ \t:") != std::string::npos) {
    throw Error(ErrorKind::Invalid, "invalid interface prefix: " + record.interface_prefix);
  }
  record.isolated = !flag_option(options, "com.docker.network.bridge.enable_icc", true);
  record.masquerade = flag_option(options, "com.docker.network.bridge.enable_ip_masquerade", true);
  record.publish_address = option(options, "com.docker.network.bridge.host_binding_ipv4");
  if (!record.publish_address.empty()) (void)IpAddress::parse(record.publish_address);
  record.bridge = option(options, "com.docker.network.bridge.name");
  if (record.bridge.empty()) record.bridge = "ctr-" + record.id.substr(0, 10);
  if (record.bridge.size() > kLongestInterfaceName || record.bridge.find_first_of("/ \t") != std::string::npos ||
      record.bridge == "." || record.bridge == "..") {
    throw Error(ErrorKind::Invalid, "invalid interface name: " + record.bridge);
  }
  if (const std::string mtu = option(options, "com.docker.network.driver.mtu"); !mtu.empty()) {
    const std::optional<std::uint64_t> value = parse_uint(mtu);
    if (!value || *value < 68 || *value > 65535) throw Error(ErrorKind::Invalid, "invalid mtu: " + mtu);
    record.mtu = static_cast<std::uint32_t>(*value);
  }
}

/// "host" and "none": only names, with ids of their own.
NetworkRecord predefined(Context& context, const std::string& name) {
  NetworkRecord record;
  record.name = name;
  record.driver = name == "host" ? "host" : "null";
  for (const char* part : {"a", "b", "c", "d"}) record.id += short_hash(context.paths().root.string() + name + part, 16);
  record.created_ns = default_network(context).created_ns;
  return record;
}

Json options_document(const NetworkRecord& network) {
  Json options = Json(network.options);
  if (network.name != kDefaultNetwork) return network.options.empty() ? Json::object() : options;
  options = Json::object();
  options["com.docker.network.bridge.default_bridge"] = "true";
  options["com.docker.network.bridge.enable_icc"] = "true";
  options["com.docker.network.bridge.enable_ip_masquerade"] = "true";
  options["com.docker.network.bridge.host_binding_ipv4"] = "0.0.0.0";
  options["com.docker.network.bridge.name"] = network.bridge;
  return options;
}

Json ipam_document(const NetworkRecord& network) {
  Json json = Json::object();
  json["Driver"] = "default";
  json["Options"] = network.driver == "bridge" && network.name != kDefaultNetwork ? Json::object() : Json();
  json["Config"] = network.subnets.empty() ? Json() : Json::array();
  for (const NetworkSubnet& subnet : network.subnets) {
    Json config = Json::object();
    config["Subnet"] = subnet.prefix.str();
    if (subnet.range) config["IPRange"] = subnet.range->str();
    config["Gateway"] = subnet.gateway.str();
    for (const auto& [name, address] : subnet.reserved) config["AuxiliaryAddresses"][name] = address.str();
    json["Config"].push_back(std::move(config));
  }
  return json;
}

Json containers_document(const Paths& paths, const NetworkRecord& network) {
  Json containers = Json::object();
  for (const std::string& id : network_users(paths, network.name)) {
    const std::optional<ContainerNetwork> member = find_container_network(paths, id);
    if (!member) continue;
    for (const Endpoint& endpoint : member->endpoints) {
      if (endpoint.network != network.name) continue;
      Json json = Json::object();
      json["Name"] = member->container_name;
      json["EndpointID"] = endpoint.id;
      json["MacAddress"] = endpoint.mac.str();
      json["IPv4Address"] = endpoint.address ? endpoint.address->str() : "";
      json["IPv6Address"] = endpoint.address_v6 ? endpoint.address_v6->str() : "";
      containers[id] = std::move(json);
    }
  }
  return containers;
}

std::set<std::string> used_networks(Context& context) {
  std::set<std::string> used;
  for (const ContainerRecord& record : context.containers().list()) {
    for (const std::string& name : network_names_of(record)) used.insert(name);
  }
  return used;
}

bool has_part(const Filters& filters, const std::string& key, const std::string& text) {
  if (!filters.has(key)) return true;
  const std::vector<std::string>& parts = filters.values(key);
  return std::any_of(parts.begin(), parts.end(),
                     [&](const std::string& part) { return text.find(part) != std::string::npos; });
}

std::string created_text(const NetworkRecord& network) {
  return format_time(Time(std::chrono::nanoseconds(network.created_ns)));
}

[[noreturn]] void throw_active(const Paths& paths, const NetworkRecord& network) {
  std::string users;
  for (const std::string& id : network_users(paths, network.name)) {
    const std::optional<ContainerNetwork> member = find_container_network(paths, id);
    users += (users.empty() ? "" : ", ") + std::string("name:\"") + (member ? member->container_name : "") +
             "\" id:\"" + id.substr(0, 12) + "\"";
  }
  throw Error(ErrorKind::Busy, "error while removing network: network " + network.name + " has active endpoints" +
                                   (users.empty() ? "" : " (" + users + ")"));
}

}  // namespace

bool is_predefined_network(const std::string& name) {
  return name == kDefaultNetwork || name == "host" || name == "none" || name == "default" || name == "container";
}

std::vector<IpamPool> make_ipam_pools(const std::vector<std::string>& subnets, const std::vector<std::string>& gateways,
                                      const std::vector<std::string>& ranges, const std::vector<std::string>& reserved) {
  std::vector<IpamPool> pools;
  for (const std::string& subnet : subnets) pools.push_back({subnet, {}, {}, {}});
  const auto pool_with = [&](const std::string& text, const IpAddress& address) -> IpamPool& {
    for (IpamPool& pool : pools) {
      if (IpPrefix::parse(pool.subnet).contains(address)) return pool;
    }
    throw Error(ErrorKind::Invalid, "no matching subnet for " + text);
  };
  const auto set_once = [](std::string& member, const std::string& what, const std::string& text) {
    if (!member.empty()) throw Error(ErrorKind::Invalid, "cannot configure multiple " + what + " (" + text + ", " + member + ") on the same subnet");
    member = text;
  };
  for (const std::string& range : ranges) {
    set_once(pool_with("range " + range, IpPrefix::parse(range).address).ip_range, "ranges", range);
  }
  for (const std::string& gateway : gateways) {
    set_once(pool_with("gateway " + gateway, IpAddress::parse(gateway)).gateway, "gateways", gateway);
  }
  for (const std::string& text : reserved) {
    const auto parts = cut(text, '=');
    if (!parts) throw Error(ErrorKind::Invalid, "invalid aux-address: " + text);
    pool_with("aux-address " + parts->second, IpAddress::parse(parts->second)).reserved[parts->first] = parts->second;
  }
  return pools;
}

NetworkRecord create_network(Context& context, const CreateNetworkRequest& request) {
  const Paths& paths = context.paths();
  check_driver(request.driver);
  if (!request.ipv4 && !request.ipv6) throw Error(ErrorKind::Invalid, "IPv4 or IPv6 must be enabled");
  (void)default_network(context);  // it has the first choice of subnets
  const FileLock lock = lock_networks(paths);
  check_name(paths, request.name);
  NetworkRecord record;
  record.name = request.name;
  record.id = random_hex(32);
  record.created_ns = now().time_since_epoch().count();
  record.internal = request.internal;
  record.ipv4 = request.ipv4;
  record.ipv6 = request.ipv6;
  record.options = request.options;
  record.labels = request.labels;
  apply_options(record);
  record.subnets = choose_subnets(context, request);
  save_network(paths, record);
  context.events().append({"network", "create", record.id, {{"name", record.name}, {"type", record.driver}}, 0});
  return record;
}

NetworkRecord default_network(Context& context) { return default_network(context.paths(), address_pools(context)); }

NetworkRecord resolve_network(Context& context, const std::string& name_or_id) {
  for (const char* name : {"host", "none"}) {
    NetworkRecord record = predefined(context, name);
    const bool is_id = name_or_id.size() >= 12 && record.id.starts_with(name_or_id);
    if (name_or_id == name || is_id) return record;
  }
  if (name_or_id == "default" || name_or_id == kDefaultNetwork) return default_network(context);
  if (std::optional<NetworkRecord> record = find_network(context.paths(), name_or_id)) return std::move(*record);
  throw Error(ErrorKind::NotFound, "network " + name_or_id + " not found");
}

Filters parse_network_filters(const std::vector<std::string>& texts) {
  return Filters(texts, {"dangling", "driver", "id", "label", "name", "scope", "type"});
}

std::vector<NetworkRecord> list_networks(Context& context, const Filters& filters) {
  const Paths& paths = context.paths();
  (void)default_network(context);
  std::vector<NetworkRecord> all = list_networks(paths);
  all.push_back(predefined(context, "host"));
  all.push_back(predefined(context, "none"));
  std::sort(all.begin(), all.end(), [](const auto& left, const auto& right) { return left.name < right.name; });
  const std::set<std::string> used = filters.has("dangling") ? used_networks(context) : std::set<std::string>();
  std::erase_if(all, [&](const NetworkRecord& network) {
    const std::string type = is_predefined_network(network.name) ? "builtin" : "custom";
    if (!filters.matches("driver", network.driver) || !filters.matches("scope", "local")) return true;
    if (!filters.matches("type", type) || !filters.matches_labels(network.labels)) return true;
    if (!has_part(filters, "name", network.name) || !has_part(filters, "id", network.id)) return true;
    if (!filters.has("dangling")) return false;
    const bool is_dangling = type == "custom" && !used.contains(network.name);
    return is_dangling != filters.flag("dangling", false);
  });
  return all;
}

Json inspect_network(Context& context, const NetworkRecord& network) {
  Json json = Json::object();
  json["Name"] = network.name;
  json["Id"] = network.id;
  json["Created"] = created_text(network);
  json["Scope"] = "local";
  json["Driver"] = network.driver;
  json["EnableIPv4"] = network.ipv4;
  json["EnableIPv6"] = network.ipv6;
  json["IPAM"] = ipam_document(network);
  json["Internal"] = network.internal;
  json["Attachable"] = false;
  json["Ingress"] = false;
  json["ConfigFrom"]["Network"] = "";
  json["ConfigOnly"] = false;
  json["Containers"] = containers_document(context.paths(), network);
  json["Options"] = options_document(network);
  json["Labels"] = network.labels.empty() ? Json::object() : Json(network.labels);
  return json;
}

std::string remove_network(Context& context, const std::string& name_or_id) {
  const NetworkRecord network = resolve_network(context, name_or_id);
  if (is_predefined_network(network.name)) {
    throw Error(ErrorKind::Denied, network.name + " is a pre-defined network and cannot be removed");
  }
  const Paths& paths = context.paths();
  release_dead_networks(paths);
  // Of a container that has ended somebody may be tidying the rest: its endpoints don't count.
  for (const std::string& id : network_users(paths, network.name)) cleanup_container(context, id);
  if (!network_users(paths, network.name).empty()) throw_active(paths, network);
  const FileLock lock = lock_networks(paths);
  delete_idle_network(paths, network);
  context.events().append({"network", "destroy", network.id, {{"name", network.name}, {"type", network.driver}}, 0});
  return network.name;
}

Filters parse_network_prune_filters(const std::vector<std::string>& texts) {
  return Filters(texts, {"until", "label", "label!"});
}

PruneReport prune_networks(Context& context, const Filters& filters) {
  PruneReport report;
  const PruneBoundary boundary(filters);
  const std::set<std::string> used = used_networks(context);
  for (const NetworkRecord& network : list_networks(context.paths())) {
    if (is_predefined_network(network.name) || used.contains(network.name)) continue;
    if (!filters.matches_labels(network.labels) || !boundary.is_older(created_text(network))) continue;
    try {
      report.deleted.push_back(remove_network(context, network.name));
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::Busy && error.kind() != ErrorKind::NotFound) throw;  // somebody came
    }
  }
  return report;
}

void retire_unused_networks(Context& context) { retire_idle_networks(context.paths(), WhenIdle::Wait); }

}  // namespace ctr
