// ctr completion bash|zsh|fish, and the hidden command that these scripts ask: `ctr __complete WORD...`.
#include <algorithm>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/output.h"
#include "engine/containers.h"
#include "engine/images.h"

namespace ctr {

namespace {

constexpr const char* kBash = R"SCRIPT(_ctr_complete() {
  local IFS=$'\n' word="${COMP_WORDS[COMP_CWORD]}"
  COMPREPLY=($(compgen -W "$(ctr __complete -- "${COMP_WORDS[@]:1:COMP_CWORD-1}" 2>/dev/null)" -- "$word"))
  [ ${#COMPREPLY[@]} -gt 0 ] || compopt -o default 2>/dev/null
  __ltrim_colon_completions "$word" 2>/dev/null || true
}
complete -F _ctr_complete ctr
)SCRIPT";

constexpr const char* kZsh = R"SCRIPT(#compdef ctr
_ctr_complete() {
  local -a candidates
  candidates=("${(@f)$(ctr __complete -- "${(@)words[2,CURRENT-1]}" 2>/dev/null)}")
  candidates=("${(@)candidates:#}")
  if (( ${#candidates} )); then compadd -a candidates; else _files; fi
}
compdef _ctr_complete ctr
)SCRIPT";

constexpr const char* kFish = R"SCRIPT(function __ctr_complete
  set -l words (commandline -opc)
  ctr __complete -- $words[2..-1] 2>/dev/null
end
complete -c ctr -a '(__ctr_complete)'
)SCRIPT";

int print_script(Invocation& invocation) {
  const std::string& shell = invocation.arguments().front();
  if (shell == "bash") {
    write_standard_out(kBash);
  } else if (shell == "zsh") {
    write_standard_out(kZsh);
  } else if (shell == "fish") {
    write_standard_out(kFish);
  } else {
    throw UsageError("unknown shell \"" + shell + "\": bash, zsh or fish");
  }
  return 0;
}

/// What stands behind the words typed so far: commands, and below a command its flags and what it works on.
std::vector<std::string> next_words(const std::vector<std::string>& typed) {
  std::vector<std::string> candidates;
  const std::string prefix = join(typed, " ") + (typed.empty() ? "" : " ");
  const auto consider = [&](const std::string& words) {
    if (words.starts_with(prefix)) candidates.push_back(split(words.substr(prefix.size()), ' ').front());
  };
  for (const CommandSpec& command : all_commands()) {
    if (command.group == HelpGroup::Hidden) continue;
    consider(command.words);
    for (const std::string& alias : command.aliases) consider(alias);
  }
  return candidates;
}

void add_flags(const CommandSpec& command, std::vector<std::string>& candidates) {
  FlagTable table;
  if (command.define_flags != nullptr) command.define_flags(table);
  for (const Flag& flag : table.flags()) {
    if (!flag.is_hidden) candidates.push_back("--" + flag.name);
  }
}

void add_containers(Context& context, std::vector<std::string>& candidates) {
  ListContainersRequest request;
  request.all = true;
  for (const ContainerSummary& container : list_containers(context, request)) candidates.push_back(container.record.name);
}

void add_images(Context& context, std::vector<std::string>& candidates) {
  for (const ImageSummary& image : list_images(context, {})) {
    candidates.insert(candidates.end(), image.repo_tags.begin(), image.repo_tags.end());
  }
}

int complete(Invocation& invocation) {
  const std::vector<std::string>& typed = invocation.arguments();
  std::vector<std::string> candidates = next_words(typed);
  std::size_t taken = 0;
  if (const CommandSpec* command = find_command(typed, taken)) {
    add_flags(*command, candidates);
    if (command->arguments.find("CONTAINER") != std::string::npos) add_containers(invocation.context(), candidates);
    if (command->arguments.find("IMAGE") != std::string::npos || command->words == "push") {
      add_images(invocation.context(), candidates);
    }
  }
  std::sort(candidates.begin(), candidates.end());
  candidates.erase(std::unique(candidates.begin(), candidates.end()), candidates.end());
  for (const std::string& candidate : candidates) write_standard_out(candidate + "\n");
  return 0;
}

}  // namespace

std::vector<CommandSpec> completion_command_specs() {
  return {{.words = "completion",
           .arguments = "bash|zsh|fish",
           .summary = "Print a shell's completion script",
           .min_arguments = 1,
           .max_arguments = 1,
           .run = print_script},
          {.words = "__complete",
           .arguments = "[WORD...]",
           .summary = "Print what may stand next",
           .group = HelpGroup::Hidden,
           .order = FlagOrder::BeforeArguments,
           .run = complete}};
}

}  // namespace ctr
