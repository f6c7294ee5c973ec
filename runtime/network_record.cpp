#include "runtime/network_record.h"

#include "base/error.h"
#include "base/lock.h"
#include "base/random.h"
#include "base/time.h"
#include "runtime/address_pool.h"
#include "runtime/bridge_namespace.h"
#include "runtime/network_owner.h"

namespace ctr {
namespace {

constexpr int kVersion = 1;
constexpr std::uint64_t kLongestRecord = 1024 * 1024;
constexpr const char* kSuffix = ".json";

fs::path directory(const Paths& paths) { return paths.root / "networks"; }
fs::path record_path(const Paths& paths, const std::string& name) { return directory(paths) / (name + kSuffix); }

Json to_json(const NetworkSubnet& subnet) {
  Json json = Json::object();
  json["subnet"] = subnet.prefix.str();
  json["gateway"] = subnet.gateway.str();
  if (subnet.range) json["range"] = subnet.range->str();
  for (const auto& [name, address] : subnet.reserved) json["reserved"][name] = address.str();
  return json;
}

NetworkSubnet subnet_from_json(const Json& json) {
  NetworkSubnet subnet;
  subnet.prefix = IpPrefix::parse(json.require_string("subnet"));
  subnet.gateway = IpAddress::parse(json.require_string("gateway"));
  if (const auto range = json.find_string("range")) subnet.range = IpPrefix::parse(*range);
  for (const auto& [name, address] : json.string_map("reserved")) subnet.reserved[name] = IpAddress::parse(address);
  return subnet;
}

std::optional<NetworkRecord> read_record(const Paths& paths, const std::string& name) {
  const fs::path path = record_path(paths, name);
  const std::optional<std::string> text = find_file(path, kLongestRecord);
  if (!text) return std::nullopt;
  return in_context(path.string(), [&] { return network_record_from_json(Json::parse(*text)); });
}

NetworkRecord make_default_network(const Paths& paths, const std::vector<AddressPool>& pools) {
  const FileLock lock = lock_networks(paths);
  if (std::optional<NetworkRecord> record = read_record(paths, kDefaultNetwork)) return *record;
  NetworkRecord record;
  record.name = kDefaultNetwork;
  record.id = random_hex(32);
  record.created_ns = now().time_since_epoch().count();
  record.bridge = "ctr0" + owner_suffix(paths);
  in_bridge_namespace(paths, [&] {
    record.subnets.push_back(make_subnet(choose_subnet(used_prefixes(NetworkLinks(), list_networks(paths)), pools)));
  });
  save_network(paths, record);
  return record;
}

}  // namespace

Json to_json(const NetworkRecord& record) {
  Json json = Json::object();
  json["v"] = kVersion;
  json["name"] = record.name;
  json["id"] = record.id;
  json["driver"] = record.driver;
  json["created_ns"] = record.created_ns;
  json["subnets"] = Json::array();
  for (const NetworkSubnet& subnet : record.subnets) json["subnets"].push_back(to_json(subnet));
  json["bridge"] = record.bridge;
  if (!record.interface_prefix.empty()) json["interface_prefix"] = record.interface_prefix;
  json["internal"] = record.internal;
  json["ipv4"] = record.ipv4;
  json["ipv6"] = record.ipv6;
  json["isolated"] = record.isolated;
  json["masquerade"] = record.masquerade;
  json["mtu"] = record.mtu;
  json["options"] = record.options;
  json["labels"] = record.labels;
  json["publish_address"] = record.publish_address;
  return json;
}

NetworkRecord network_record_from_json(const Json& json) {
  if (json.require_int("v") > kVersion) throw Error(ErrorKind::Unavailable, "network was written by a newer ctr");
  NetworkRecord record;
  record.name = json.require_string("name");
  record.id = json.require_string("id");
  record.driver = json.string_or("driver", "bridge");
  record.created_ns = json.int_or("created_ns");
  for (const Json& subnet : json.elements("subnets")) record.subnets.push_back(subnet_from_json(subnet));
  record.bridge = json.require_string("bridge");
  record.interface_prefix = json.string_or("interface_prefix");
  record.internal = json.bool_or("internal");
  record.ipv4 = json.bool_or("ipv4", true);
  record.ipv6 = json.bool_or("ipv6");
  record.isolated = json.bool_or("isolated");
  record.masquerade = json.bool_or("masquerade", true);
  record.mtu = static_cast<std::uint32_t>(json.int_or("mtu"));
  record.options = json.string_map("options");
  record.labels = json.string_map("labels");
  record.publish_address = json.string_or("publish_address");
  return record;
}

FileLock lock_networks(const Paths& paths) {
  make_directories(directory(paths));
  return FileLock::acquire(directory(paths) / ".lock", LockMode::Exclusive);
}

void save_network(const Paths& paths, const NetworkRecord& record) {
  write_file_atomic(record_path(paths, record.name), to_json(record).dump_pretty() + "\n", Durability::Synced);
}

void delete_network(const Paths& paths, const std::string& name) { remove_tree(record_path(paths, name)); }

NetworkRecord default_network(const Paths& paths) { return default_network(paths, {}); }

NetworkRecord default_network(const Paths& paths, const std::vector<AddressPool>& pools) {
  if (std::optional<NetworkRecord> record = read_record(paths, kDefaultNetwork)) return *record;
  return make_default_network(paths, pools);
}

std::vector<NetworkRecord> list_networks(const Paths& paths) {
  std::vector<NetworkRecord> records;
  for (const std::string& file : list_directory(directory(paths))) {
    if (file.starts_with('.') || !file.ends_with(kSuffix)) continue;
    std::optional<NetworkRecord> record = read_record(paths, file.substr(0, file.size() - 5));
    if (record) records.push_back(std::move(*record));  // else removed a moment ago
  }
  return records;
}

std::optional<NetworkRecord> find_network(const Paths& paths, const std::string& name_or_id) {
  if (name_or_id == kDefaultNetwork) return default_network(paths);
  if (name_or_id.empty() || name_or_id.starts_with('.') || name_or_id.find('/') != name_or_id.npos) return std::nullopt;
  if (std::optional<NetworkRecord> record = read_record(paths, name_or_id)) return record;
  std::optional<NetworkRecord> found;
  for (NetworkRecord& record : list_networks(paths)) {
    if (record.id == name_or_id) return std::move(record);
    if (!record.id.starts_with(name_or_id)) continue;
    if (found) throw Error(ErrorKind::Invalid, "network " + name_or_id + " is ambiguous: more than one id begins so");
    found = std::move(record);
  }
  return found;
}

}  // namespace ctr
