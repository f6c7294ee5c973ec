// The text of --help, made from the command tables.
#pragma once

#include <string>

#include "cli/command.h"

namespace ctr {

/// `ctr help`: the commands in groups, and the global flags.
std::string overview_help();
/// `ctr image --help`: the commands below one word.
std::string group_help(const std::string& group);
/// `ctr help run`: usage, summary, aliases, flags.
std::string command_help(const CommandSpec& command);
/// "ctr run [OPTIONS] IMAGE [COMMAND] [ARG...]"
std::string usage_line(const CommandSpec& command);
/// The first words of commands with several: "container", "image"…
std::vector<std::string> command_groups();

}  // namespace ctr
