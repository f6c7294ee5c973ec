// Taking ports of the host: the kernel decides who gets one, because each is bound for as long as it is published, by the
// sockets that the forwarder serves. Claims under $CTR_RUN/networks/.ports/<protocol>-<port>/<address> -> container id
// only name the holder for those who come later.
#pragma once

#include <string>
#include <vector>

#include "base/lock.h"
#include "base/paths.h"
#include "runtime/port_binding.h"
#include "runtime/port_forwarder.h"

namespace ctr {

/// One request's ports: a socket each for IPv4 and IPv6, or one for the asked address. Targets are not set yet.
/// Throws Busy: "port 8080/tcp on 0.0.0.0 is already allocated to container 1a2b3c", or names the process.
std::vector<ForwardRule> bind_port(const Paths& paths, const PublishRequest& request);

/// Held while ports, their claims and their rules change together.
FileLock lock_ports(const Paths& paths);

/// REQUIRES: the lock, and that the port's socket is bound by us: an older claim is a dead container's.
void claim_port(const Paths& paths, const PublishedPort& port, const std::string& container_id);
/// Removes the claim if it is the container's. False when another container holds the port: then its rules are another's
/// too. REQUIRES: the lock.
bool release_port(const Paths& paths, const PublishedPort& port, const std::string& container_id);

fs::path port_claim_path(const Paths& paths, const PublishedPort& port);

}  // namespace ctr
