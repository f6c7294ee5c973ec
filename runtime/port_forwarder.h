// Published ports in user space, for what the kernel's NAT cannot do: [::1], IPv6 to a container that has only IPv4, and
// hosts without nftables. TCP is moved by splice() through pipes, UDP by a table of sessions. Single-threaded: one epoll
// descriptor that nests in the caller's loop. Part of the static shim: no libraries. The peer's address is not kept.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/fd.h"
#include "runtime/port_binding.h"

namespace ctr {

/// A socket that is bound (and listens, for TCP), and where its traffic goes: the container's address, reached from the
/// namespace that the forwarder runs in. One without a target only holds the port.
struct ForwardRule {
  Fd socket;
  PublishedPort port;
  IpAddress target;
  std::uint16_t target_port = 0;
};

class PortForwarder {
 public:
  PortForwarder();
  ~PortForwarder();
  PortForwarder(const PortForwarder&) = delete;
  PortForwarder& operator=(const PortForwarder&) = delete;

  void add(ForwardRule rule);
  /// Closes the socket of that port; running connections live on. Absence is fine.
  void remove(const PublishedPort& port);
  void clear();

  /// An epoll descriptor that becomes readable when dispatch() has work.
  int poll_fd() const noexcept;
  /// Does what is ready and returns; never blocks, never throws for what a peer did.
  void dispatch();

  std::size_t connections() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ctr
