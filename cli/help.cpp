#include "cli/help.h"

#include <algorithm>

#include "base/text.h"

namespace ctr {

namespace {

struct Row {
  std::string left;
  std::string right;
};

std::string table(const std::vector<Row>& rows) {
  std::size_t width = 0;
  for (const Row& row : rows) width = std::max(width, row.left.size());
  std::string text;
  for (const Row& row : rows) {
    text.append("  ").append(row.left).append(width - row.left.size() + 3, ' ').append(row.right);
    while (text.ends_with(' ')) text.pop_back();
    text.push_back('\n');
  }
  return text;
}

struct GroupSummary {
  const char* name;
  const char* summary;
};
constexpr GroupSummary kGroups[] = {
    {"builder", "Manage builds and the build cache"},
    {"buildx", "Build for several platforms"},
    {"container", "Manage containers"},
    {"image", "Manage images"},
    {"manifest", "Manage manifests and indexes"},
    {"network", "Manage networks"},
    {"oci", "Run OCI bundles as a runtime for containerd, CRI-O and podman"},
    {"registry", "Run a registry"},
    {"system", "Manage ctr itself"},
    {"volume", "Manage volumes"},
};

std::string group_summary(const std::string& name) {
  for (const GroupSummary& group : kGroups) {
    if (name == group.name) return group.summary;
  }
  return {};
}

std::string flag_left(const Flag& flag) {
  std::string left = flag.shorthand != 0 ? std::string("-") + flag.shorthand + ", " : "    ";
  left += "--" + flag.name;
  if (flag.value_name.empty()) return left;
  return flag.bare_value ? left + "[=" + flag.value_name + "]" : left + " " + flag.value_name;
}

std::string flag_right(const Flag& flag) {
  switch (flag.kind) {
    case FlagKind::Toggle:
      return flag.otherwise == "true" ? flag.help + " (default true)" : flag.help;
    case FlagKind::Text:
      return flag.otherwise.empty() ? flag.help : flag.help + " (default \"" + flag.otherwise + "\")";
    case FlagKind::Integer:
      return flag.otherwise == "0" ? flag.help : flag.help + " (default " + flag.otherwise + ")";
    case FlagKind::List:
      break;
  }
  return flag.help;
}

/// Calls `visit` with each pair of words and command, aliases included, that people are shown.
template <typename Visit>
void each_shown(const Visit& visit) {
  for (const CommandSpec& command : all_commands()) {
    if (command.group == HelpGroup::Hidden) continue;
    visit(command.words, command);
    for (const std::string& alias : command.aliases) visit(alias, command);
  }
}

}  // namespace

std::vector<std::string> command_groups() {
  std::vector<std::string> groups;
  each_shown([&](const std::string& words, const CommandSpec&) {
    if (const auto pair = cut(words, ' ')) groups.push_back(pair->first);
  });
  std::sort(groups.begin(), groups.end());
  groups.erase(std::unique(groups.begin(), groups.end()), groups.end());
  return groups;
}

std::string usage_line(const CommandSpec& command) {
  return "ctr " + command.words + (command.arguments.empty() ? "" : " " + command.arguments);
}

std::string overview_help() {
  std::string text = "Usage:  ctr [OPTIONS] COMMAND\n\nBuilds, ships and runs containers, without a daemon\n";
  const auto section = [&](const char* title, HelpGroup group) {
    std::vector<Row> rows;
    for (const CommandSpec& command : all_commands()) {
      const bool is_single = command.words.find(' ') == std::string::npos;
      if (command.group == group && is_single) rows.push_back({command.words, command.summary});
    }
    if (!rows.empty()) text += std::string("\n") + title + ":\n" + table(rows);
  };
  section("Common Commands", HelpGroup::Common);
  std::vector<Row> groups;
  for (const std::string& name : command_groups()) groups.push_back({name, group_summary(name)});
  text += "\nManagement Commands:\n" + table(groups);
  section("Commands", HelpGroup::Other);
  text += "\nGlobal Options:\n" +
          table({{"    --config string", "Directory of client config files (default \"~/.docker\")"},
                 {"-D, --debug", "Say more about errors"},
                 {"    --root string", "The store (default $CTR_ROOT or /var/lib/ctr)"},
                 {"    --trace file", "Write where the time of the command goes, as a Chrome trace"},
                 {"-v, --version", "Print version information and quit"}});
  return text + "\nRun 'ctr COMMAND --help' for more information on a command.\n";
}

std::string group_help(const std::string& group) {
  std::vector<Row> rows;
  each_shown([&](const std::string& words, const CommandSpec& command) {
    if (words.starts_with(group + " ")) rows.push_back({words.substr(group.size() + 1), command.summary});
  });
  std::sort(rows.begin(), rows.end(), [](const Row& left, const Row& right) { return left.left < right.left; });
  return "Usage:  ctr " + group + " COMMAND\n\n" + group_summary(group) + "\n\nCommands:\n" + table(rows) +
         "\nRun 'ctr " + group + " COMMAND --help' for more information on a command.\n";
}

std::string command_help(const CommandSpec& command) {
  std::string text = "Usage:  " + usage_line(command) + "\n\n" + command.summary + "\n";
  if (!command.aliases.empty()) {
    std::vector<std::string> names = {"ctr " + command.words};
    for (const std::string& alias : command.aliases) names.push_back("ctr " + alias);
    text += "\nAliases:\n  " + join(names, ", ") + "\n";
  }
  FlagTable flags;
  if (command.define_flags != nullptr) command.define_flags(flags);
  std::vector<Flag> shown;
  for (const Flag& flag : flags.flags()) {
    if (!flag.is_hidden) shown.push_back(flag);
  }
  std::sort(shown.begin(), shown.end(), [](const Flag& left, const Flag& right) { return left.name < right.name; });
  std::vector<Row> rows;
  for (const Flag& flag : shown) rows.push_back({flag_left(flag), flag_right(flag)});
  if (!rows.empty()) text += "\nOptions:\n" + table(rows);
  return text;
}

}  // namespace ctr
