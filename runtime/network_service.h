// What a container's shim serves for its network: forwarded ports and the resolver, behind one descriptor in its epoll
// loop. `ctr` opens the sockets (it has the rights and knows the namespaces) and hands them over: as JSON that names
// descriptors by their place in a list, and the list itself, by inheritance or in a message.
#pragma once

#include <optional>
#include <vector>

#include "base/fd.h"
#include "base/json.h"
#include "runtime/network_resolver.h"
#include "runtime/port_forwarder.h"

namespace ctr {

struct NetworkService {
  std::vector<ForwardRule> forwards;
  std::optional<ResolverSockets> resolver;
  Fd hold;  // a lock that says "this container's network is in use"; whoever serves it keeps it open until the end

  bool empty() const noexcept { return forwards.empty() && !resolver && !hold; }
};

/// The sender's side: the description, and the descriptors in the order that it numbers them (borrowed).
Json to_json(const NetworkService& service);
std::vector<int> descriptors_of(const NetworkService& service);
/// A packet carries at most 253 descriptors and 16 KiB: a container with many ports needs several.
inline constexpr std::size_t kForwardsPerMessage = 60;
std::vector<NetworkService> split_for_messages(NetworkService service);
/// The receiver's side. Throws Invalid when the description names a descriptor that is not there.
NetworkService network_service_from_json(const Json& description, std::vector<Fd> descriptors);

/// REQUIRES: one thread. Lives as long as the container, across its restarts (the addresses stay).
class NetworkServer {
 public:
  NetworkServer();
  ~NetworkServer();

  /// Adds what a message of `ctr` brings (at start, and `ctr update -p` or `ctr network connect` later).
  void add(NetworkService service);
  /// Takes ports away (`ctr update`, `ctr network disconnect`).
  void remove_ports(const std::vector<PublishedPort>& ports);

  /// Readable when dispatch() has work; the same descriptor for ever.
  int poll_fd() const noexcept;
  void dispatch();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

Json to_json(const PublishedPort& port);
PublishedPort published_port_from_json(const Json& json);

}  // namespace ctr
