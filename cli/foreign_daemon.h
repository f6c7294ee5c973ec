// Docker's ways to talk to another machine, and Docker's commands that ctr does not have: refused in one sentence,
// never ignored.
#pragma once

#include <optional>
#include <string>

#include "cli/flags.h"

namespace ctr {

/// Throws when -H, --context, DOCKER_HOST or DOCKER_CONTEXT name something else than this machine.
void refuse_foreign_daemon(const ParsedFlags& global_flags);

/// Why there is no such command, for those that people know from Docker.
std::optional<std::string> reason_for_missing_command(const std::string& word);

}  // namespace ctr
