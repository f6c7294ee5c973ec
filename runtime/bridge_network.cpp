#include "runtime/bridge_network.h"

#include <linux/capability.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "base/error.h"
#include "base/random.h"
#include "base/user_namespace.h"
#include "runtime/address_pool.h"
#include "runtime/bridge_namespace.h"
#include "runtime/network_bridge.h"
#include "runtime/network_joining.h"
#include "runtime/network_members.h"
#include "runtime/network_names.h"
#include "runtime/network_namespace.h"
#include "runtime/network_owner.h"
#include "runtime/network_ports.h"
#include "runtime/port_relay.h"
#include "runtime/session_uplink.h"

namespace ctr {
namespace {

using namespace std::chrono_literals;

constexpr auto kPatience = 10s;
constexpr const char* kResolverAddress = "127.0.0.11";
constexpr std::uint16_t kDnsPort = 53;

std::uint16_t port_of(int socket) {
  SocketAddress address;
  address.size = sizeof address.storage;
  check(::getsockname(socket, address.get(), &address.size), "getsockname");
  return ntohs(reinterpret_cast<sockaddr_in&>(address.storage).sin_port);
}

Fd bind_resolver_socket(int type, std::uint16_t port) {
  Fd socket(check(::socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "open resolver socket"));
  const SocketAddress address = SocketAddress::of(IpAddress::parse(kResolverAddress), port);
  check(::bind(socket.get(), address.get(), address.size), "bind resolver socket");
  if (type == SOCK_STREAM) check(::listen(socket.get(), 16), "listen on resolver socket");
  return socket;
}

/// On ports of their own, to which the namespace's rules lead, so that a name server in the container can have 53; on 53
/// itself where there are no rules.
ResolverSockets open_resolver(const Paths& paths, const std::string& container_id, int netns) {
  ResolverSockets sockets;
  sockets.directory = member_resolve_directory(paths, container_id);
  const auto open = [&](std::uint16_t port) {
    in_network_namespace(netns, [&] {
      sockets.udp = bind_resolver_socket(SOCK_DGRAM, port);
      sockets.tcp = bind_resolver_socket(SOCK_STREAM, port);
    });
  };
  open(0);
  try {
    redirect_resolver(netns, port_of(sockets.udp.get()), port_of(sockets.tcp.get()));
  } catch (const Error&) {
    sockets.udp.reset();
    sockets.tcp.reset();
    open(kDnsPort);
  }
  return sockets;
}

/// The container's own servers, or none where no network leads out.
void write_upstream(const Paths& paths, const std::string& container_id, const ContainerNetwork& network) {
  const fs::path file = member_resolve_directory(paths, container_id) / ".upstream";
  if (!network.endpoints.empty() && primary_endpoint(network) == nullptr) {
    write_file_atomic(file, "", Durability::Cached);
  } else if (!network.dns.nameservers.empty()) {
    ResolverConfig own;
    own.nameservers = network.dns.nameservers;
    write_file_atomic(file, resolver_file(own), Durability::Cached);
  } else if (const auto session = session_name_server(paths); session && is_user_session()) {
    write_file_atomic(file, "nameserver " + *session + "\n", Durability::Cached);
  } else {
    ::unlink(file.c_str());
  }
}

void begin_member(const Paths& paths, const NetworkRequest& request) {
  make_directories(member_resolve_directory(paths, request.container_id));
  const fs::path link = member_directory(paths, request.container_id) / "netns";
  check(::symlink(request.netns.c_str(), link.c_str()), "create", link);
}

/// Where -p without an address binds is the business of the network that leads out.
std::vector<PublishRequest> with_default_address(std::vector<PublishRequest> publish, const NetworkRequest& request,
                                                 const ContainerNetwork& network) {
  const Endpoint* primary = primary_endpoint(network);
  for (const auto& [record, wanted] : request.networks) {
    if (primary == nullptr || record.name != primary->network || record.publish_address.empty()) continue;
    for (PublishRequest& port : publish) {
      if (!port.host_address) port.host_address = IpAddress::parse(record.publish_address);
    }
  }
  return publish;
}

NetworkSetup set_up(const Paths& paths, const NetworkRequest& request) {
  begin_member(paths, request);
  NetworkSetup setup;
  ContainerNetwork& network = setup.network;
  network.netns = request.netns;
  network.container_name = request.container_name;
  network.dns = request.dns;
  create_network_namespace(request.netns);
  const Fd netns = open_network_namespace(request.netns);
  Joining joining(paths, request.container_id, netns.get());
  for (const auto& [record, wanted] : request.networks) joining.join(network, record, wanted);
  joining.set_default_routes(network);
  network.warnings = joining.warnings();
  if (!request.publish.empty()) {
    const std::vector<PublishRequest> publish = with_default_address(request.publish, request, network);
    setup.service.forwards = take_ports(paths, request.container_id, network, publish);
  }
  if (request.names == NameService::Embedded && !network.endpoints.empty()) {
    write_upstream(paths, request.container_id, network);
    setup.service.resolver = open_resolver(paths, request.container_id, netns.get());
  }
  save_member(paths, request.container_id, network);
  joining.wait_until_running();
  return setup;
}

}  // namespace

NetworkSetup set_up_network(const Paths& paths, const NetworkRequest& request) {
  if (!has_capability(CAP_NET_ADMIN)) {
    throw Error(ErrorKind::Denied, "a bridge needs CAP_NET_ADMIN, which this process lacks: use --network host or none");
  }
  const std::optional<SessionUplink> uplink = connect_session(paths);
  return with_bridges(paths, [&] {
    std::optional<MemberLock> lock = MemberLock::acquire(paths, request.container_id, kPatience);
    if (!lock) {
      throw Error(ErrorKind::Busy, "the network of container " + request.container_id.substr(0, 12) + " is in use");
    }
    give_back_network(paths, request.container_id);
    try {
      NetworkSetup setup = set_up(paths, request);
      if (uplink && !uplink->warning.empty()) setup.network.warnings.push_back(uplink->warning);
      setup.service.hold = lock->share();
      return setup;
    } catch (...) {
      give_back_network(paths, request.container_id);
      lock->remove_file();
      throw;
    }
  });
}

Endpoint attach_endpoint(const Paths& paths, const std::string& container_id, const NetworkRecord& record,
                         const EndpointRequest& request) {
  return with_bridges(paths, [&] {
    const FileLock lock = lock_member_record(paths, container_id);
    std::optional<ContainerNetwork> network = find_container_network(paths, container_id);
    if (!network) throw Error(ErrorKind::NotFound, "container " + container_id.substr(0, 12) + " has no network");
    for (const Endpoint& endpoint : network->endpoints) {
      if (endpoint.network != record.name) continue;
      throw Error(ErrorKind::Exists, "endpoint with name " + network->container_name + " already exists in network " +
                                         record.name);
    }
    const Fd netns = open_network_namespace(network->netns);
    Joining joining(paths, container_id, netns.get());
    try {
      const Endpoint endpoint = joining.join(*network, record, request);
      joining.set_default_routes(*network);
      write_upstream(paths, container_id, *network);
      save_member(paths, container_id, *network);
      joining.wait_until_running();
      return endpoint;
    } catch (...) {
      leave_network(paths, container_id, record.name);
      throw;
    }
  });
}

void detach_endpoint(const Paths& paths, const std::string& container_id, const std::string& name) {
  in_bridge_namespace(paths, [&] {
    const FileLock lock = lock_member_record(paths, container_id);
    std::optional<ContainerNetwork> network = find_container_network(paths, container_id);
    const auto is_it = [&](const Endpoint& endpoint) { return endpoint.network == name; };
    if (!network || std::none_of(network->endpoints.begin(), network->endpoints.end(), is_it)) {
      throw Error(ErrorKind::NotFound, "container " + container_id.substr(0, 12) + " is not connected to network " + name);
    }
    std::erase_if(network->endpoints, is_it);
    save_member(paths, container_id, *network);
    leave_network(paths, container_id, name);
    const Fd netns = open_network_namespace(network->netns);
    Joining(paths, container_id, netns.get()).set_default_routes(*network);
    write_upstream(paths, container_id, *network);
  });
}

void rename_endpoints(const Paths& paths, const std::string& container_id, const std::string& new_name) {
  if (!find_container_network(paths, container_id)) return;
  const FileLock lock = lock_member_record(paths, container_id);
  std::optional<ContainerNetwork> network = find_container_network(paths, container_id);
  if (!network || network->container_name == new_name) return;
  const std::string old_name = std::exchange(network->container_name, new_name);
  for (Endpoint& endpoint : network->endpoints) {
    const fs::path directory = network_directory(paths, endpoint.network);
    for (const IpAddress& address : addresses_of(endpoint)) {
      add_network_name(directory, new_name, address, container_id);
      add_network_pointer(directory, address, new_name + "." + endpoint.network);
      const bool is_alias = std::find(endpoint.aliases.begin(), endpoint.aliases.end(), old_name) !=
                            endpoint.aliases.end();
      if (!is_alias) remove_network_name(directory, old_name, address, container_id);
    }
    std::replace(endpoint.names.begin(), endpoint.names.end(), old_name, new_name);
  }
  save_member(paths, container_id, *network);
}

std::string host_gateway(const std::vector<NetworkRecord>& networks) {
  for (AddressFamily family : {AddressFamily::V4, AddressFamily::V6}) {
    for (const NetworkRecord& network : networks) {
      for (const NetworkSubnet& subnet : network.subnets) {
        if (subnet.gateway.family() == family) return subnet.gateway.str();
      }
    }
  }
  return {};
}

}  // namespace ctr
