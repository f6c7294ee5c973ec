// The commands, one function a file, each giving the specs that command_table.cpp puts together.
#pragma once

#include <vector>

#include "cli/command.h"

namespace ctr {

CommandSpec run_command_spec();
CommandSpec create_command_spec();
std::vector<CommandSpec> lifecycle_command_specs();
std::vector<CommandSpec> exec_command_specs();
std::vector<CommandSpec> container_list_command_specs();
std::vector<CommandSpec> log_command_specs();
std::vector<CommandSpec> inspect_command_specs();
std::vector<CommandSpec> container_file_command_specs();
std::vector<CommandSpec> container_resource_command_specs();
std::vector<CommandSpec> image_command_specs();
std::vector<CommandSpec> image_archive_command_specs();
std::vector<CommandSpec> build_command_specs();
std::vector<CommandSpec> buildx_command_specs();
std::vector<CommandSpec> transfer_command_specs();
std::vector<CommandSpec> login_command_specs();
std::vector<CommandSpec> registry_command_specs();
std::vector<CommandSpec> remote_command_specs();
std::vector<CommandSpec> system_command_specs();
std::vector<CommandSpec> version_command_specs();
std::vector<CommandSpec> prune_command_specs();
std::vector<CommandSpec> network_command_specs();
std::vector<CommandSpec> volume_command_specs();
std::vector<CommandSpec> completion_command_specs();
std::vector<CommandSpec> hidden_command_specs();

}  // namespace ctr
