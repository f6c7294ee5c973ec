// The steps by which a container joins a network and leaves it, each of which can be undone from what lies in $CTR_RUN.
// bridge_network.h is what others call.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/bridge_network.h"
#include "runtime/network_bridge.h"
#include "runtime/network_links.h"

namespace ctr {

/// A container that is being connected: sockets into both namespaces.
class Joining {
 public:
  Joining(const Paths& paths, const std::string& container_id, int netns);

  /// Address, names, interface. The endpoint is added to `network`, which is saved by the caller.
  Endpoint join(ContainerNetwork& network, const NetworkRecord& record, const EndpointRequest& request);
  /// By the primary endpoint alone; none without one.
  void set_default_routes(const ContainerNetwork& network) const;
  /// The kernel opens a new pair for traffic a moment later, from a worker of its own. A container whose first packet
  /// was lost would wait a second for the next.
  void wait_until_running() const;

  const std::vector<std::string>& warnings() const noexcept { return warnings_; }

 private:
  Endpoint claim(const ContainerNetwork& network, const NetworkRecord& record, const EndpointRequest& request) const;
  Rules put_bridge_rules(const NetworkRecord& record);
  std::string free_interface(const ContainerNetwork& network, const NetworkRecord& record,
                             const EndpointRequest& request) const;

  const Paths& paths_;
  std::string container_id_;
  int netns_;
  NetworkLinks host_;
  NetworkLinks container_;
  std::vector<std::string> warnings_;
  std::vector<std::string> new_on_host_;
  std::vector<std::string> new_in_container_;
};

/// Binds, claims and translates ports, notes them in `network` and saves it. All or nothing.
std::vector<ForwardRule> take_ports(const Paths& paths, const std::string& container_id, ContainerNetwork& network,
                                    const std::vector<PublishRequest>& requests);
/// Gives ports back: claims and rules.
void give_back_ports(const Paths& paths, const std::string& container_id, const ContainerNetwork& network,
                     const std::vector<PublishedPort>& ports);

/// Undoes join(): interface first, then names, then the address. Needs no record of what was joined.
void leave_network(const Paths& paths, const std::string& container_id, const std::string& network);
/// Undoes everything of a container. REQUIRES: its lock.
void give_back_network(const Paths& paths, const std::string& container_id);

}  // namespace ctr
