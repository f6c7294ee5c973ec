#include "runtime/network_service.h"

#include <sys/epoll.h>

#include "base/error.h"
#include "runtime/network_poller.h"

namespace ctr {
namespace {

Protocol protocol_from(const std::string& name) {
  for (Protocol protocol : {Protocol::Tcp, Protocol::Udp, Protocol::Sctp}) {
    if (name == protocol_name(protocol)) return protocol;
  }
  throw Error(ErrorKind::Invalid, "invalid proto: " + name);
}

std::uint16_t port_from(const Json& json, std::string_view key) {
  const std::int64_t port = json.require_int(key);
  if (port < 0 || port > 65535) throw Error(ErrorKind::Invalid, std::string(key) + " is no port");
  return static_cast<std::uint16_t>(port);
}

/// Takes the next descriptor of the list, by the number that the description gives.
Fd take(const Json& json, std::string_view key, std::vector<Fd>& descriptors) {
  const std::int64_t index = json.require_int(key);
  if (index < 0 || static_cast<std::size_t>(index) >= descriptors.size() ||
      !descriptors[static_cast<std::size_t>(index)]) {
    throw Error(ErrorKind::Invalid, "network service: descriptor " + std::to_string(index) + " is missing");
  }
  return std::move(descriptors[static_cast<std::size_t>(index)]);
}

}  // namespace

Json to_json(const PublishedPort& port) {
  Json json = Json::object();
  json["protocol"] = protocol_name(port.container.protocol);
  json["container_port"] = int{port.container.port};
  json["host_address"] = port.host_address.str();
  json["host_port"] = int{port.host_port};
  return json;
}

PublishedPort published_port_from_json(const Json& json) {
  PublishedPort port;
  port.container = {port_from(json, "container_port"), protocol_from(json.require_string("protocol"))};
  port.host_address = IpAddress::parse(json.require_string("host_address"));
  port.host_port = port_from(json, "host_port");
  return port;
}

Json to_json(const NetworkService& service) {
  int next = 0;
  Json json = Json::object();
  json["forwards"] = Json::array();
  for (const ForwardRule& rule : service.forwards) {
    Json forward = to_json(rule.port);
    forward["socket"] = next++;
    forward["target"] = rule.target.str();
    forward["target_port"] = int{rule.target_port};
    json["forwards"].push_back(std::move(forward));
  }
  if (service.resolver) {
    json["resolver"]["udp"] = next++;
    json["resolver"]["tcp"] = next++;
    json["resolver"]["directory"] = service.resolver->directory.string();
  }
  if (service.hold) json["hold"] = next++;
  return json;
}

std::vector<int> descriptors_of(const NetworkService& service) {
  std::vector<int> descriptors;
  for (const ForwardRule& rule : service.forwards) descriptors.push_back(rule.socket.get());
  if (service.resolver) {
    descriptors.push_back(service.resolver->udp.get());
    descriptors.push_back(service.resolver->tcp.get());
  }
  if (service.hold) descriptors.push_back(service.hold.get());
  return descriptors;
}

NetworkService network_service_from_json(const Json& description, std::vector<Fd> descriptors) {
  NetworkService service;
  for (const Json& forward : description.elements("forwards")) {
    ForwardRule rule;
    rule.port = published_port_from_json(forward);
    rule.socket = take(forward, "socket", descriptors);
    rule.target = IpAddress::parse(forward.require_string("target"));
    rule.target_port = port_from(forward, "target_port");
    service.forwards.push_back(std::move(rule));
  }
  if (const Json* resolver = description.find("resolver")) {
    service.resolver.emplace();
    service.resolver->udp = take(*resolver, "udp", descriptors);
    service.resolver->tcp = take(*resolver, "tcp", descriptors);
    service.resolver->directory = resolver->require_string("directory");
  }
  if (description.contains("hold")) service.hold = take(description, "hold", descriptors);
  return service;
}

std::vector<NetworkService> split_for_messages(NetworkService service) {
  std::vector<NetworkService> parts(1);
  parts.front().resolver = std::move(service.resolver);
  parts.front().hold = std::move(service.hold);
  for (ForwardRule& rule : service.forwards) {
    if (parts.back().forwards.size() == kForwardsPerMessage) parts.emplace_back();
    parts.back().forwards.push_back(std::move(rule));
  }
  return parts;
}

struct NetworkServer::State {
  NetworkPoller poller;
  Fd hold;
  std::optional<PortForwarder> forwarder;
  std::optional<NetworkResolver> resolver;
};

NetworkServer::NetworkServer() : state_(std::make_unique<State>()) {}
NetworkServer::~NetworkServer() = default;

void NetworkServer::add(NetworkService service) {
  State& state = *state_;
  if (service.hold) state.hold = std::move(service.hold);
  if (service.resolver) {
    state.resolver.reset();
    state.resolver.emplace(std::move(*service.resolver));
    state.poller.add(state.resolver->poll_fd(), EPOLLIN, [&state](std::uint32_t) { state.resolver->dispatch(); });
  }
  if (service.forwards.empty()) return;
  if (!state.forwarder) {
    state.forwarder.emplace();
    state.poller.add(state.forwarder->poll_fd(), EPOLLIN, [&state](std::uint32_t) { state.forwarder->dispatch(); });
  }
  for (ForwardRule& rule : service.forwards) state.forwarder->add(std::move(rule));
}

void NetworkServer::remove_ports(const std::vector<PublishedPort>& ports) {
  if (!state_->forwarder) return;
  for (const PublishedPort& port : ports) state_->forwarder->remove(port);
}

int NetworkServer::poll_fd() const noexcept { return state_->poller.fd(); }

void NetworkServer::dispatch() { state_->poller.dispatch(); }

}  // namespace ctr
