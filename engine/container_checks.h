// What Docker refuses before it makes a container: limits that contradict each other or this machine, policies that
// don't exist, options that exclude one another. Messages are Docker's. Nothing is opened but /proc and cgroup limits.
#pragma once

#include <string>
#include <vector>

#include "engine/container_config.h"

namespace ctr {

/// Throws Invalid. Returns warnings (what was asked for and is ignored on this machine).
std::vector<std::string> check_container(const ContainerConfig& config, const HostConfig& host);

/// What is asked of networks, without what the image says: --network container:NAME, host and none have what they have.
/// Throws Invalid; names what no network here can do.
void check_networking(const ContainerConfig& asked, const HostConfig& host, const NetworkingConfig& networking);
void check_endpoint(const EndpointSettings& settings);

/// The limits alone, for `update`.
std::vector<std::string> check_resources(const Resources& resources);

void check_restart_policy(const RestartPolicy& policy);

}  // namespace ctr
