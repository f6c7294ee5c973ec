#include "engine/container_network.h"

#include <fcntl.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "engine/container_store.h"
#include "engine/containers.h"
#include "engine/make_spec.h"
#include "engine/networks.h"
#include "runtime/bridge_network.h"
#include "runtime/resolver_files.h"

namespace ctr {
namespace {

void write_etc_file(const fs::path& path, const std::string& content) {
  const Fd file = open_file(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  write_all(file.get(), as_bytes(content), path.native());
}

DnsOptions dns_options(const Context& context, const HostConfig& host) {
  const Configuration& defaults = context.configuration();
  DnsOptions options;
  options.nameservers = host.dns.empty() ? defaults.dns : host.dns;
  options.search = host.dns_search.empty() ? defaults.dns_search : host.dns_search;
  options.options = host.dns_options.empty() ? defaults.dns_options : host.dns_options;
  return options;
}

std::vector<HostsEntry> extra_hosts(const HostConfig& host, const std::string& gateway) {
  std::vector<HostsEntry> entries;
  for (const std::string& text : host.extra_hosts) entries.push_back(parse_extra_host(text, gateway));
  return entries;
}

std::vector<std::string> own_names(const ContainerConfig& config) {
  if (config.domainname.empty()) return {config.hostname};
  return {config.hostname + "." + config.domainname, config.hostname};
}

/// hosts, hostname and resolv.conf of a container without a bridge.
void write_plain_files(const Context& context, const ContainerRecord& record, const fs::path& directory) {
  const bool is_host = network_mode_of(record.host) == NetworkMode::Host;
  const std::vector<HostsEntry> extra = extra_hosts(record.host, "127.0.0.1");
  if (is_host) {
    write_etc_file(directory / "hosts", hosts_file_of_host(find_file("/etc/hosts", kMiB).value_or(""), extra));
  } else {
    write_etc_file(directory / "hosts", hosts_file(extra, {}));
  }
  ResolverConfig resolver = with_dns_options(read_host_resolver_config(), dns_options(context, record.host));
  if (!is_host) resolver = without_loopback_servers(std::move(resolver));
  write_etc_file(directory / "resolv.conf", resolver_file(resolver));
  write_etc_file(directory / "hostname", hostname_file(record.config.hostname));
}

std::vector<PublishRequest> publish_requests(const Context& context, const ContainerRecord& record) {
  const std::string& default_address = context.configuration().publish_address;
  std::vector<PublishRequest> requests;
  for (const auto& [port, bindings] : record.host.port_bindings) {
    for (const PortBinding& binding : bindings) {
      requests.push_back(
          make_publish_request(port, binding.host_ip.empty() ? default_address : binding.host_ip, binding.host_port));
    }
  }
  if (!record.host.publish_all_ports) return requests;
  for (const std::string& port : record.config.exposed_ports) {
    if (!record.host.port_bindings.contains(port)) requests.push_back(make_publish_request(port, default_address, ""));
  }
  return requests;
}

NetworkRecord get_network(Context& context, const std::string& name) {
  if (name.empty() || name == "default" || name == kDefaultNetwork) return default_network(context);
  const std::optional<NetworkRecord> network = find_network(context.paths(), name);
  if (!network) throw Error(ErrorKind::NotFound, "network " + name + " not found");
  return *network;
}

NetworkRequest network_request(Context& context, const ContainerRecord& record) {
  NetworkRequest request;
  request.container_id = record.id;
  request.container_name = record.name;
  request.netns = context.containers().run_directory(record.id) / "netns";
  request.publish = publish_requests(context, record);
  request.dns = dns_options(context, record.host);
  std::map<std::string, EndpointSettings> endpoints = record.networking.endpoints_config;
  if (endpoints.empty()) endpoints.emplace(record.host.network_mode, EndpointSettings{});
  for (const auto& [name, settings] : endpoints) {
    EndpointRequest endpoint = endpoint_request(settings);
    // The container's own --mac-address is for its first network.
    const std::string& mac = record.config.mac_address;
    if (!endpoint.mac && !mac.empty() && name == record.host.network_mode) endpoint.mac = MacAddress::parse(mac);
    request.networks.emplace_back(get_network(context, name), std::move(endpoint));
  }
  return request;
}

std::string gateway_of(const NetworkRequest& request) {
  std::vector<NetworkRecord> networks;
  for (const auto& [network, endpoint] : request.networks) networks.push_back(network);
  return host_gateway(networks);
}

void write_network_files(const ContainerRecord& record, const NetworkSetup& setup, const NetworkRequest& request,
                         const fs::path& directory) {
  std::vector<HostsEntry> own;
  for (const Endpoint& endpoint : setup.network.endpoints) {
    for (const IpAddress& address : addresses_of(endpoint)) own.push_back({address.str(), own_names(record.config)});
  }
  write_etc_file(directory / "hosts", hosts_file(extra_hosts(record.host, gateway_of(request)), own));
  const ResolverConfig resolver = with_dns_options(read_host_resolver_config(), request.dns);
  write_etc_file(directory / "resolv.conf", setup.service.resolver ? embedded_resolver_file(resolver)
                                                                   : resolver_file(without_loopback_servers(resolver)));
  write_etc_file(directory / "hostname", hostname_file(record.config.hostname));
}

PreparedNetwork join_container_network(Context& context, const ContainerRecord& record) {
  const std::string name = record.host.network_mode.substr(std::string("container:").size());
  const ContainerRecord other = context.containers().get(name);
  const ContainerState state = read_state(context, other);
  if (!state.is_running() || state.pid == 0) {
    throw Error(ErrorKind::Busy, "cannot join network of a non running container: " + other.id);
  }
  PreparedNetwork prepared;
  prepared.network_namespace = "/proc/" + std::to_string(state.pid) + "/ns/net";
  prepared.etc_directory = context.containers().directory(other.id);
  return prepared;
}

}  // namespace

EndpointRequest endpoint_request(const EndpointSettings& settings) {
  EndpointRequest request;
  request.aliases = settings.aliases;
  request.gateway_priority = settings.gw_priority;
  if (settings.ipam_config && !settings.ipam_config->ipv4_address.empty()) {
    request.address = IpAddress::parse(settings.ipam_config->ipv4_address);
  }
  if (settings.ipam_config && !settings.ipam_config->ipv6_address.empty()) {
    request.address_v6 = IpAddress::parse(settings.ipam_config->ipv6_address);
  }
  if (!settings.mac_address.empty()) request.mac = MacAddress::parse(settings.mac_address);
  if (const auto name = settings.driver_opts.find(kInterfaceNameOption); name != settings.driver_opts.end()) {
    request.interface = name->second;
  }
  return request;
}

PreparedNetwork prepare_network(Context& context, const ContainerRecord& record) {
  const NetworkMode mode = network_mode_of(record.host);
  if (mode == NetworkMode::Container) return join_container_network(context, record);
  PreparedNetwork prepared;
  prepared.etc_directory = context.containers().directory(record.id);
  if (mode != NetworkMode::Networks) {
    write_plain_files(context, record, prepared.etc_directory);
    return prepared;
  }
  const NetworkRequest request = network_request(context, record);
  NetworkSetup setup = set_up_network(context.paths(), request);
  try {
    write_network_files(record, setup, request, prepared.etc_directory);
  } catch (const Error&) {
    release_network(context.paths(), record.id);
    throw;
  }
  prepared.network_namespace = setup.network.netns;
  prepared.service = std::move(setup.service);
  prepared.names = name_links(context.paths(), setup.network);
  prepared.warnings = std::move(setup.network.warnings);
  return prepared;
}

void note_network_names(const Context& context, ContainerRecord& record) {
  const std::optional<ContainerNetwork> network = find_container_network(context.paths(), record.id);
  record.shim.claims_while_running = network ? name_links(context.paths(), *network) : std::vector<fs::path>();
}

void release_container_network(Context& context, const ContainerRecord& record) {
  if (network_mode_of(record.host) == NetworkMode::Networks) release_network(context.paths(), record.id);
}

namespace {

PortMap published_ports(const ContainerNetwork& network) {
  PortMap ports;
  for (const PublishedPort& port : network.ports) {
    ports[port.container.str()].push_back({port.host_address.str(), std::to_string(port.host_port)});
  }
  return ports;
}

EndpointSettings settings_of(const Endpoint& endpoint, EndpointSettings asked) {
  asked.mac_address = endpoint.mac.str();
  asked.network_id = endpoint.network_id;
  asked.endpoint_id = endpoint.id;
  if (endpoint.gateway) asked.gateway = endpoint.gateway->str();
  if (endpoint.address) {
    asked.ip_address = endpoint.address->address.str();
    asked.ip_prefix_len = endpoint.address->length;
  }
  if (endpoint.address_v6) {
    asked.global_ipv6_address = endpoint.address_v6->address.str();
    asked.global_ipv6_prefix_len = endpoint.address_v6->length;
  }
  if (endpoint.gateway_v6) asked.ipv6_gateway = endpoint.gateway_v6->str();
  if (endpoint.network != kDefaultNetwork) asked.dns_names = endpoint.names;
  return asked;
}

Json empty_network_settings() {
  Json json = Json::object();
  json["Bridge"] = "";
  json["SandboxID"] = "";
  json["SandboxKey"] = "";
  json["Ports"] = Json::object();
  json["HairpinMode"] = false;
  json["LinkLocalIPv6Address"] = "";
  json["LinkLocalIPv6PrefixLen"] = 0;
  json["SecondaryIPAddresses"] = nullptr;
  json["SecondaryIPv6Addresses"] = nullptr;
  return json;
}

/// The members that repeat the default network's endpoint, for scripts of Docker's early days.
void add_legacy_members(Json& json, const EndpointSettings& settings) {
  json["EndpointID"] = settings.endpoint_id;
  json["Gateway"] = settings.gateway;
  json["GlobalIPv6Address"] = settings.global_ipv6_address;
  json["GlobalIPv6PrefixLen"] = settings.global_ipv6_prefix_len;
  json["IPAddress"] = settings.ip_address;
  json["IPPrefixLen"] = settings.ip_prefix_len;
  json["IPv6Gateway"] = settings.ipv6_gateway;
  json["MacAddress"] = settings.mac_address;
}

std::map<std::string, EndpointSettings> asked_endpoints(const ContainerRecord& record) {
  std::map<std::string, EndpointSettings> endpoints = record.networking.endpoints_config;
  if (endpoints.empty() && network_mode_of(record.host) != NetworkMode::Container) {
    const std::string& mode = record.host.network_mode;
    endpoints.emplace(mode.empty() || mode == "default" ? kDefaultNetwork : mode, EndpointSettings{});
  }
  return endpoints;
}

}  // namespace

Json network_settings(Context& context, const ContainerRecord& record, const ContainerState& state) {
  Json json = empty_network_settings();
  std::map<std::string, EndpointSettings> endpoints = asked_endpoints(record);
  if (state.is_running()) {
    if (const auto network = find_container_network(context.paths(), record.id)) {
      json["SandboxID"] = record.id;
      json["SandboxKey"] = network->netns.native();
      PortMap ports = published_ports(*network);
      Json documents = to_json(ports);
      for (const std::string& exposed : record.config.exposed_ports) {
        if (!ports.contains(exposed)) documents[exposed] = nullptr;
      }
      json["Ports"] = std::move(documents);
      for (const Endpoint& endpoint : network->endpoints) {
        endpoints[endpoint.network] = settings_of(endpoint, endpoints[endpoint.network]);
      }
    }
  }
  const auto bridge = endpoints.find(kDefaultNetwork);
  add_legacy_members(json, bridge == endpoints.end() ? EndpointSettings{} : bridge->second);
  json["Networks"] = Json::object();
  for (const auto& [name, settings] : endpoints) json["Networks"][name] = to_json(settings, JsonForm::Full);
  return json;
}

std::vector<PortSummary> container_ports(Context& context, const ContainerRecord& record) {
  std::vector<PortSummary> ports;
  if (network_mode_of(record.host) != NetworkMode::Networks) return ports;
  std::vector<std::string> unpublished = record.config.exposed_ports;
  if (const auto network = find_container_network(context.paths(), record.id)) {
    for (const PublishedPort& port : network->ports) {
      ports.push_back({port.host_address.str(), port.container.port, port.host_port,
                       std::string(protocol_name(port.container.protocol))});
      std::erase(unpublished, port.container.str());
    }
  }
  for (const std::string& text : unpublished) {
    for (const ContainerPort& port : parse_exposed_ports(text)) {
      ports.push_back({"", port.port, 0, std::string(protocol_name(port.protocol))});
    }
  }
  return ports;
}

}  // namespace ctr
