// How the network of a user's session reaches the world: pasta or slirp4netns, whichever is installed, moves its traffic
// by sockets of the user. One serves all bridges of the session; the session's holder ends it. Published ports do not
// need it: the shims forward those.
#pragma once

#include <optional>
#include <string>

#include "base/paths.h"

namespace ctr {

struct SessionUplink {
  /// Where names are asked for: the program passes questions on to the host's resolver, a loopback one included.
  std::optional<std::string> name_server;
  /// What the user has to know, once: that nothing is installed, or what the program said.
  std::string warning;
};

/// Starts it if it does not run yet. Nothing for root, and in a process that was started inside the session.
std::optional<SessionUplink> connect_session(const Paths& paths);

/// The name server of an uplink that runs.
std::optional<std::string> session_name_server(const Paths& paths);

}  // namespace ctr
