// What other programs of ours call, and people do not.
#include "cli/commands.h"
#include "engine/containers.h"
#include "engine/networks.h"

namespace ctr {

namespace {

/// The shim's last act: `ctr container-cleanup ID`.
int cleanup(Invocation& invocation) {
  cleanup_container(invocation.context(), invocation.arguments().front());
  retire_unused_networks(invocation.context());
  return 0;
}

}  // namespace

std::vector<CommandSpec> hidden_command_specs() {
  return {{.words = "container-cleanup",
           .arguments = "ID",
           .summary = "Tidy up after a container that has ended",
           .group = HelpGroup::Hidden,
           .min_arguments = 1,
           .max_arguments = 1,
           .run = cleanup}};
}

}  // namespace ctr
