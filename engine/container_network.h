// The network side of one start: joins or makes the network namespace, publishes ports, writes hosts, hostname and
// resolv.conf. What the networks gave is read back with runtime/bridge_network.h; this file turns it into Docker's
// NetworkSettings as well.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "engine/container_record.h"
#include "engine/container_state.h"
#include "engine/context.h"
#include "runtime/bridge_network.h"

namespace ctr {

struct PreparedNetwork {
  std::optional<fs::path> network_namespace;  // to be joined; absent: as the network mode says
  fs::path etc_directory;                     // holds hosts, hostname, resolv.conf
  NetworkService service;                     // for the shim
  std::vector<fs::path> names;                // links for the shim to take back at the end
  std::vector<std::string> warnings;
};

/// For a start. Throws NotFound "network x not found", Busy for a taken port. All or nothing.
PreparedNetwork prepare_network(Context& context, const ContainerRecord& record);

/// Tells the record's shim which names to take back at the end, after a change of a running container's network.
void note_network_names(const Context& context, ContainerRecord& record);

/// Gives everything back. Safe to repeat.
void release_container_network(Context& context, const ContainerRecord& record);

/// What the user asked of one network, for joining it.
EndpointRequest endpoint_request(const EndpointSettings& settings);

/// Docker's NetworkSettings of `inspect`.
Json network_settings(Context& context, const ContainerRecord& record, const ContainerState& state);

}  // namespace ctr
