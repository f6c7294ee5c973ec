// `ctr network connect` and `disconnect`. The record says what the container's next start will have; a running container
// changes at once. Published ports belong to the network with the default route: when another one gets it, they move.
#include <fcntl.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "engine/container_checks.h"
#include "engine/container_network.h"
#include "engine/container_state.h"
#include "engine/container_store.h"
#include "engine/events.h"
#include "engine/make_spec.h"
#include "engine/network_names.h"
#include "engine/networks.h"
#include "engine/shim_client.h"
#include "runtime/bridge_network.h"

namespace ctr {
namespace {

void check_connectable(const ContainerRecord& record, const NetworkRecord& network) {
  const NetworkMode mode = network_mode_of(record.host);
  if (mode == NetworkMode::Host || mode == NetworkMode::Container) {
    throw Error(ErrorKind::Denied, "container sharing network namespace with another container or host cannot be "
                                   "connected to any other network");
  }
  if (mode == NetworkMode::None || network.name == "none") {
    throw Error(ErrorKind::Denied,
                "container cannot be connected to multiple networks with one of the networks in private (none) mode");
  }
  if (network.name == "host") {
    throw Error(ErrorKind::Denied, "container cannot be disconnected from host network or connected to host network");
  }
}

/// What start takes from the network mode alone, said in full, so that more can stand beside it.
void spell_out_networks(ContainerRecord& record) {
  if (!record.networking.endpoints_config.empty()) return;
  for (const std::string& name : network_names_of(record)) record.networking.endpoints_config[name] = {};
}

/// The name under which the record has the network, which may be an id.
std::string recorded_name(Context& context, const ContainerRecord& record, const NetworkRecord& network) {
  for (const auto& [name, settings] : record.networking.endpoints_config) {
    if (name == network.name || name == network.id) return name;
    const std::optional<NetworkRecord> found = find_network(context.paths(), name == "default" ? kDefaultNetwork : name);
    if (found && found->id == network.id) return name;
  }
  return {};
}

/// The file is bind-mounted into the container: it is rewritten, never replaced.
void rewrite_hosts(const fs::path& path, const std::string& text) {
  const Fd file = open_file(path, O_WRONLY | O_TRUNC);
  write_all(file.get(), as_bytes(text), path.native());
}

void add_host_lines(Context& context, const ContainerRecord& record, const Endpoint& endpoint) {
  const fs::path path = context.containers().directory(record.id) / "hosts";
  std::string text = find_file(path, kMiB).value_or("");
  for (const IpAddress& address : addresses_of(endpoint)) text += address.str() + "\t" + record.config.hostname + "\n";
  rewrite_hosts(path, text);
}

void remove_host_lines(Context& context, const ContainerRecord& record, const Endpoint& endpoint) {
  const fs::path path = context.containers().directory(record.id) / "hosts";
  std::string kept;
  for (const std::string& line : split(find_file(path, kMiB).value_or(""), '\n')) {
    const std::vector<std::string> words = split_words(line);
    const std::vector<IpAddress> own = addresses_of(endpoint);
    const bool is_own = !words.empty() && std::any_of(own.begin(), own.end(), [&](const IpAddress& address) {
      return words[0] == address.str();
    });
    if (!is_own && !line.empty()) kept += line + "\n";
  }
  rewrite_hosts(path, kept);
}

/// Ports that are closed for a while, and opened again the same, wherever they lead then.
class MovedPorts {
 public:
  MovedPorts(Context& context, const ContainerRecord& record) : context_(context), record_(record) {}

  void close(const ContainerNetwork& network) {
    std::vector<ContainerPort> ports;
    for (const PublishedPort& port : network.ports) {
      if (ports.empty() || !(ports.back() == port.container)) ports.push_back(port.container);
      requests_.push_back(request_for(port));
    }
    if (ports.empty()) return;
    std::sort(ports.begin(), ports.end());
    ports.erase(std::unique(ports.begin(), ports.end()), ports.end());
    const std::vector<PublishedPort> closed = unpublish_ports(context_.paths(), record_.id, ports);
    if (auto shim = connect_shim()) shim->close_ports(closed);
  }

  void open() {
    const std::optional<ContainerNetwork> network = find_container_network(context_.paths(), record_.id);
    if (requests_.empty() || !network || primary_endpoint(*network) == nullptr) return;
    const NetworkService service = publish_ports(context_.paths(), record_.id, requests_);
    if (auto shim = connect_shim()) shim->add_network(service);
  }

 private:
  static PublishRequest request_for(const PublishedPort& port) {
    return {port.container, port.host_address, port.host_port, port.host_port};
  }
  std::optional<ShimConnection> connect_shim() {
    return ShimConnection::connect(context_.containers().run_directory(record_.id));
  }
  Context& context_;
  const ContainerRecord& record_;
  std::vector<PublishRequest> requests_;
};

/// Whether a default route, and with it the published ports, will be the new network's.
bool takes_over(const ContainerNetwork& current, const NetworkRecord& network, const EndpointSettings& settings) {
  if (network.internal) return false;
  return std::any_of(network.subnets.begin(), network.subnets.end(), [&](const NetworkSubnet& subnet) {
    const Endpoint* leading = gateway_endpoint(current, subnet.prefix.address.family());
    return leading == nullptr || settings.gw_priority > leading->gateway_priority;
  });
}

void connect_running(Context& context, const ContainerRecord& record, const NetworkRecord& network,
                     const EndpointSettings& settings) {
  const Paths& paths = context.paths();
  const std::optional<ContainerNetwork> current = find_container_network(paths, record.id);
  if (!current) throw Error(ErrorKind::NotFound, "container " + record.name + " has no network");
  MovedPorts ports(context, record);
  if (takes_over(*current, network, settings)) ports.close(*current);
  try {
    const Endpoint endpoint = attach_endpoint(paths, record.id, network, endpoint_request(settings));
    add_host_lines(context, record, endpoint);
  } catch (const Error&) {
    ports.open();
    throw;
  }
  ports.open();
}

void disconnect_running(Context& context, const ContainerRecord& record, const NetworkRecord& network) {
  const Paths& paths = context.paths();
  const std::optional<ContainerNetwork> current = find_container_network(paths, record.id);
  if (!current) return;
  const Endpoint* leaving = nullptr;
  for (const Endpoint& endpoint : current->endpoints) {
    if (endpoint.network == network.name) leaving = &endpoint;
  }
  if (leaving == nullptr) return;
  MovedPorts ports(context, record);
  const bool leads = leaving == gateway_endpoint(*current, AddressFamily::V4) ||
                     leaving == gateway_endpoint(*current, AddressFamily::V6);
  if (leads) ports.close(*current);
  detach_endpoint(paths, record.id, network.name);
  remove_host_lines(context, record, *leaving);
  ports.open();
}

void note(Context& context, const char* action, const NetworkRecord& network, const ContainerRecord& record) {
  context.events().append({"network", action, network.id,
                           {{"container", record.id}, {"name", network.name}, {"type", network.driver}}, 0});
}

}  // namespace

std::vector<std::string> network_names_of(const ContainerRecord& record) {
  std::vector<std::string> names;
  if (network_mode_of(record.host) != NetworkMode::Networks) return names;
  for (const auto& [name, settings] : record.networking.endpoints_config) names.push_back(name);
  if (!names.empty()) return names;
  const std::string& mode = record.host.network_mode;
  return {mode.empty() || mode == "default" ? kDefaultNetwork : mode};
}

void connect_network(Context& context, const std::string& name, const std::string& container,
                     const EndpointSettings& settings) {
  const NetworkRecord network = resolve_network(context, name);
  const std::string id = context.containers().resolve(container);
  const FileLock lock = context.containers().lock(id);
  ContainerRecord record = context.containers().load(id);
  check_endpoint(settings);
  check_connectable(record, network);
  spell_out_networks(record);
  if (!recorded_name(context, record, network).empty()) {
    throw Error(ErrorKind::Exists, "endpoint with name " + record.name + " already exists in network " + network.name);
  }
  if (read_state(context, record).is_running()) connect_running(context, record, network, settings);
  record.networking.endpoints_config[network.name] = settings;
  note_network_names(context, record);
  context.containers().save(record, RecordDurability::Synced);
  note(context, "connect", network, record);
}

void disconnect_network(Context& context, const std::string& name, const std::string& container, Force force) {
  const NetworkRecord network = resolve_network(context, name);
  const std::optional<std::string> id = context.containers().find_id(container);
  if (!id && force == Force::Yes) return;
  const FileLock lock = context.containers().lock(context.containers().resolve(container));
  ContainerRecord record = context.containers().load(context.containers().resolve(container));
  if (network.name == "host") {
    throw Error(ErrorKind::Denied, "container cannot be disconnected from host network or connected to host network");
  }
  spell_out_networks(record);
  const std::string recorded = recorded_name(context, record, network);
  if (recorded.empty()) {
    if (force == Force::Yes) return;
    throw Error(ErrorKind::Denied, "container " + record.id + " is not connected to network " + network.name);
  }
  if (read_state(context, record).is_running()) disconnect_running(context, record, network);
  record.networking.endpoints_config.erase(recorded);
  // Without any network left the mode would bring the first one back at the next start.
  if (record.networking.endpoints_config.empty()) record.host.network_mode = "none";
  else if (record.host.network_mode == recorded) record.host.network_mode = record.networking.endpoints_config.begin()->first;
  note_network_names(context, record);
  context.containers().save(record, RecordDurability::Synced);
  note(context, "disconnect", network, record);
}

}  // namespace ctr
