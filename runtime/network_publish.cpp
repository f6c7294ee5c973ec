// Ports of a container that already runs: `ctr update -p`.
#include <algorithm>

#include "base/error.h"
#include "runtime/bridge_namespace.h"
#include "runtime/network_joining.h"
#include "runtime/network_members.h"

namespace ctr {
namespace {

ContainerNetwork running_network(const Paths& paths, const std::string& container_id) {
  if (auto network = find_container_network(paths, container_id)) return std::move(*network);
  throw Error(ErrorKind::NotFound, "container " + container_id.substr(0, 12) + " has no network");
}

}  // namespace

NetworkService publish_ports(const Paths& paths, const std::string& container_id,
                             const std::vector<PublishRequest>& publish) {
  return with_bridges(paths, [&] {
    const FileLock lock = lock_member_record(paths, container_id);
    ContainerNetwork network = running_network(paths, container_id);
    if (primary_endpoint(network) == nullptr) {
      throw Error(ErrorKind::Invalid, "container " + network.container_name + " has no network that leads out");
    }
    const ContainerNetwork before = network;
    NetworkService service;
    try {
      service.forwards = take_ports(paths, container_id, network, publish);
    } catch (...) {
      const auto first_new = network.ports.begin() + static_cast<std::ptrdiff_t>(before.ports.size());
      give_back_ports(paths, container_id, network, {first_new, network.ports.end()});
      save_member(paths, container_id, before);
      throw;
    }
    return service;
  });
}

std::vector<PublishedPort> unpublish_ports(const Paths& paths, const std::string& container_id,
                                           const std::vector<ContainerPort>& ports) {
  return with_bridges(paths, [&] {
    const FileLock lock = lock_member_record(paths, container_id);
    ContainerNetwork network = running_network(paths, container_id);
    std::vector<PublishedPort> removed;
    for (const ContainerPort& port : ports) {
      const std::size_t before = removed.size();
      for (const PublishedPort& published : network.ports) {
        if (published.container == port) removed.push_back(published);
      }
      if (removed.size() == before) {
        throw Error(ErrorKind::NotFound, "port " + port.str() + " of container " + network.container_name +
                                             " is not published");
      }
    }
    give_back_ports(paths, container_id, network, removed);
    std::erase_if(network.ports, [&](const PublishedPort& port) {
      return std::find(removed.begin(), removed.end(), port) != removed.end();
    });
    save_member(paths, container_id, network);
    return removed;
  });
}

}  // namespace ctr
