#include "runtime/network_ports.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "base/error.h"
#include "base/text.h"
#include "runtime/address_pool.h"
#include "runtime/network_holder.h"
#include "runtime/port_relay.h"

namespace ctr {
namespace {

constexpr int kBacklog = 4096;
constexpr int kRandomTries = 64;

fs::path ports_directory(const Paths& paths) { return paths.run / "networks" / ".ports"; }

fs::path claims_directory(const Paths& paths, const ContainerPort& container, std::uint16_t host_port) {
  return ports_directory(paths) /
         (std::string(protocol_name(container.protocol)) + "-" + std::to_string(host_port));
}

/// Nothing when the port is taken or the host lacks the family.
struct BindResult {
  std::optional<ForwardRule> rule;
  int error = 0;
};

std::uint16_t bound_port(int socket) {
  SocketAddress address;
  address.size = sizeof address.storage;
  check(::getsockname(socket, address.get(), &address.size), "getsockname");
  return ntohs(address.storage.ss_family == AF_INET ? reinterpret_cast<sockaddr_in&>(address.storage).sin_port
                                                    : reinterpret_cast<sockaddr_in6&>(address.storage).sin6_port);
}

BindResult bind_one(const ContainerPort& container, const IpAddress& address, std::uint16_t port) {
  BindResult result;
  ForwardRule rule;
  const bool stream = container.protocol == Protocol::Tcp;
  const int family = address.is_v4() ? AF_INET : AF_INET6;
  rule.socket = Fd(::socket(family, (stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!rule.socket) return {std::nullopt, errno};
  const int on = 1;
  // Connections of the port's former holder that still wait out their time do not count.
  if (stream) (void)::setsockopt(rule.socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (address.is_v6()) (void)::setsockopt(rule.socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  const SocketAddress wanted = SocketAddress::of(address, port);
  if (::bind(rule.socket.get(), wanted.get(), wanted.size) != 0) return {std::nullopt, errno};
  if (stream && ::listen(rule.socket.get(), kBacklog) != 0) return {std::nullopt, errno};
  rule.port = {container, address, bound_port(rule.socket.get())};
  result.rule = std::move(rule);
  return result;
}

std::vector<IpAddress> addresses_of(const PublishRequest& request) {
  if (request.host_address) return {*request.host_address};
  return {IpAddress::any(AddressFamily::V4), IpAddress::any(AddressFamily::V6)};
}

bool lacks_family(int error) { return error == EAFNOSUPPORT || error == EADDRNOTAVAIL; }

struct Conflict {
  IpAddress address;
  std::uint16_t port = 0;
  int error = 0;
};

/// All addresses of a request on one port, or the first one that refuses. Port 0 takes a free one of the first address
/// for all.
std::optional<Conflict> bind_all(const PublishRequest& request, std::uint16_t port, std::vector<ForwardRule>& rules) {
  rules.clear();
  for (const IpAddress& address : addresses_of(request)) {
    BindResult result = bind_one(request.container, address, port);
    if (result.rule) {
      port = result.rule->port.host_port;
      rules.push_back(std::move(*result.rule));
      continue;
    }
    // A host without IPv6 publishes on IPv4 alone, unless IPv6 was asked for.
    if (!request.host_address && address.is_v6() && lacks_family(result.error)) continue;
    return Conflict{address, port, result.error};
  }
  return std::nullopt;
}

[[noreturn]] void throw_conflict(const Paths& paths, const PublishRequest& request, const Conflict& conflict) {
  const PublishedPort port{request.container, conflict.address, conflict.port};
  const std::string name = (conflict.address.is_v6() ? "[" + conflict.address.str() + "]" : conflict.address.str()) +
                           ":" + std::to_string(conflict.port);
  if (conflict.error == EADDRNOTAVAIL) {
    throw Error(ErrorKind::Invalid, "cannot publish on " + name + ": no interface has this address", conflict.error);
  }
  if (conflict.error != EADDRINUSE) {
    throw Error(kind_of_errno(conflict.error), "cannot publish on " + name + ": " + std::strerror(conflict.error),
                conflict.error);
  }
  const std::string holder = port_holder(paths, port);
  throw Error(ErrorKind::Busy,
              "Bind for " + name + " failed: port is already allocated" + (holder.empty() ? "" : " to " + holder),
              conflict.error);
}

}  // namespace

std::vector<ForwardRule> bind_port(const Paths& paths, const PublishRequest& request) {
  if (request.container.protocol == Protocol::Sctp) {
    throw Error(ErrorKind::Unavailable, "port " + request.container.str() + ": sctp is not supported yet");
  }
  std::vector<ForwardRule> rules;
  std::optional<Conflict> conflict;
  if (request.host_port_first == 0) {
    // What the kernel finds free for IPv4 may be taken for IPv6; then it finds another.
    for (int i = 0; i < kRandomTries; ++i) {
      conflict = bind_all(request, 0, rules);
      if (!conflict) return rules;
      if (conflict->error != EADDRINUSE) break;
    }
    throw_conflict(paths, request, *conflict);
  }
  for (int port = request.host_port_first; port <= request.host_port_last; ++port) {
    conflict = bind_all(request, static_cast<std::uint16_t>(port), rules);
    if (!conflict) return rules;
    if (conflict->error != EADDRINUSE) break;
  }
  if (request.host_port_first != request.host_port_last && conflict->error == EADDRINUSE) {
    throw Error(ErrorKind::Busy, "all ports of the range " + std::to_string(request.host_port_first) + "-" +
                                     std::to_string(request.host_port_last) + " are already allocated", EADDRINUSE);
  }
  throw_conflict(paths, request, *conflict);
}

FileLock lock_ports(const Paths& paths) {
  make_directories(ports_directory(paths));
  return FileLock::acquire(ports_directory(paths) / ".lock", LockMode::Exclusive);
}

fs::path port_claim_path(const Paths& paths, const PublishedPort& port) {
  return claims_directory(paths, port.container, port.host_port) / port.host_address.str();
}

void claim_port(const Paths& paths, const PublishedPort& port, const std::string& container_id) {
  const fs::path claim = port_claim_path(paths, port);
  make_directories(claim.parent_path());
  if (claim_link(claim, container_id)) return;
  ::unlink(claim.c_str());
  (void)claim_link(claim, container_id);
}

bool release_port(const Paths& paths, const PublishedPort& port, const std::string& container_id) {
  const fs::path claim = port_claim_path(paths, port);
  const std::optional<std::string> holder = find_link(claim);
  if (holder && *holder != container_id) return false;
  ::unlink(claim.c_str());
  ::rmdir(claim.parent_path().c_str());
  return true;
}

}  // namespace ctr
