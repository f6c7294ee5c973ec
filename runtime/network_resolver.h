// The resolver of one container, run by its shim: it answers the names of the containers on the same networks from
// symlinks under $CTR_RUN, so that a container started later is found at once, and forwards everything else to the
// host's resolvers from the host's namespace (so that a stub on the host's loopback works). Its sockets were opened
// inside the container's network namespace. Part of the static shim: no libraries, single-threaded.
#pragma once

#include <memory>

#include "base/fd.h"
#include "base/file.h"

namespace ctr {

struct ResolverSockets {
  Fd udp;  // bound to 127.0.0.11 inside the container's namespace
  Fd tcp;  // listening there
  fs::path directory;  // $CTR_RUN/networks/.members/<id>/resolve: see network_names.h
};

class NetworkResolver {
 public:
  explicit NetworkResolver(ResolverSockets sockets);
  ~NetworkResolver();
  NetworkResolver(const NetworkResolver&) = delete;
  NetworkResolver& operator=(const NetworkResolver&) = delete;

  int poll_fd() const noexcept;
  void dispatch();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ctr
