// The table of contents: every command, in the order of help.
#include "cli/buildx_commands.h"
#include "cli/command.h"
#include "cli/commands.h"

namespace ctr {

namespace {

std::vector<CommandSpec> build_table() {
  std::vector<CommandSpec> table = {run_command_spec(), create_command_spec()};
  for (const auto specs :
       {exec_command_specs, container_list_command_specs, build_command_specs, buildx_command_specs, bake_command_specs, build_cache_command_specs,
        imagetools_command_specs, manifest_command_specs, transfer_command_specs, image_command_specs,
        login_command_specs, registry_command_specs, remote_command_specs, version_command_specs, lifecycle_command_specs, log_command_specs, inspect_command_specs,
        container_file_command_specs, container_resource_command_specs, image_archive_command_specs,
        network_command_specs, volume_command_specs, system_command_specs, prune_command_specs, completion_command_specs, hidden_command_specs}) {
    for (CommandSpec& spec : specs()) table.push_back(std::move(spec));
  }
  return table;
}

bool matches(const std::string& words, std::span<const std::string> typed, std::size_t& count) {
  count = 0;
  std::string_view rest = words;
  while (!rest.empty()) {
    const std::string_view word = rest.substr(0, rest.find(' '));
    if (count == typed.size() || typed[count] != word) return false;
    ++count;
    rest.remove_prefix(std::min(word.size() + 1, rest.size()));
  }
  return true;
}

}  // namespace

const std::vector<CommandSpec>& all_commands() {
  static const std::vector<CommandSpec> kTable = build_table();
  return kTable;
}

const CommandSpec* find_command(std::span<const std::string> words, std::size_t& words_taken) {
  const CommandSpec* best = nullptr;
  words_taken = 0;
  const auto consider = [&](const std::string& candidate, const CommandSpec& command) {
    std::size_t count = 0;
    if (!matches(candidate, words, count) || count <= words_taken) return;
    best = &command;
    words_taken = count;
  };
  for (const CommandSpec& command : all_commands()) {
    consider(command.words, command);
    for (const std::string& alias : command.aliases) consider(alias, command);
  }
  return best;
}

}  // namespace ctr
