// The commands around builds besides build itself: each function is in the file of its name.
#pragma once

#include <vector>

#include "cli/command.h"

namespace ctr {

std::vector<CommandSpec> bake_command_specs();
std::vector<CommandSpec> build_cache_command_specs();
std::vector<CommandSpec> imagetools_command_specs();
std::vector<CommandSpec> manifest_command_specs();

}  // namespace ctr
