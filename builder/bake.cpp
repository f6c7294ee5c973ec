#include "builder/bake.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "builder/bake_config.h"
#include "builder/go_match.h"
#include "builder/instruction_flags.h"

namespace ctr {

namespace {

using Strings = std::vector<std::string>;

void append_new(Strings& list, const std::string& value) {
  if (std::find(list.begin(), list.end(), value) == list.end()) list.push_back(value);
}

class Planner {
 public:
  Planner(const std::vector<BakeFile>& files, const BakeOptions& options)
      : config_(files, options), options_(options) {}

  BakePlan plan();

 private:
  Strings wanted_names() const;
  void add_names(const std::string& name, Strings& targets, std::set<std::string>& seen);
  void add_target(const std::string& name, bool is_linked, Strings& open);
  void check_platforms(const BakeTarget& target, const BakeTarget& needed) const;
  void add_default_group(const Strings& wanted);

  BakeConfig config_;
  const BakeOptions& options_;
  BakePlan plan_;
  std::map<std::string, std::size_t> planned_;  // where in plan_.targets
};

// Patterns become the names that they match; groups stay what they are.
Strings Planner::wanted_names() const {
  Strings names;
  for (const std::string& given : options_.targets.empty() ? Strings{"default"} : options_.targets) {
    const std::string wanted = replace_all(given, ".", "_");  // as Compose's service names are written
    if (wanted.find_first_of("*?[]") == std::string::npos) {
      append_new(names, wanted);
      continue;
    }
    const std::size_t before = names.size();
    for (const Strings* all : {&config_.group_names(), &config_.target_names()}) {
      for (const std::string& name : *all) {
        if (go_match(wanted, name)) append_new(names, name);
      }
    }
    if (names.size() == before)
      throw Error(ErrorKind::NotFound, "could not find any target matching \"" + wanted + "\"");
  }
  return names;
}

// A group's targets, groups in groups included. A group that holds itself, or a target of its own name, ends there.
void Planner::add_names(const std::string& name, Strings& targets, std::set<std::string>& seen) {
  const BakeGroup* group = config_.find_group(name);
  if (group == nullptr || !seen.insert(name).second) {
    if (group == nullptr || config_.has_target(name)) append_new(targets, name);
    return;
  }
  plan_.groups[name] = *group;
  for (const std::string& member : group->targets) add_names(member, targets, seen);
}

void Planner::check_platforms(const BakeTarget& target, const BakeTarget& needed) const {
  const Strings mine = target.platforms.value_or(Strings{});
  const Strings theirs = needed.platforms.value_or(Strings{});
  if (mine.size() < 2 || theirs.size() < 2) return;
  for (const std::string& platform : mine) {
    if (std::find(theirs.begin(), theirs.end(), platform) != theirs.end()) continue;
    throw Error(ErrorKind::Invalid, "target " + needed.name + " can't be used by " + target.name +
                                        " because its platforms [" + join(theirs, " ") + "] are not a superset of [" +
                                        join(mine, " ") + "]");
  }
}

void Planner::add_target(const std::string& name, bool is_linked, Strings& open) {
  if (std::find(open.begin(), open.end(), name) != open.end()) {
    throw Error(ErrorKind::Invalid, open.back() == name ? "target " + name + " cannot link to itself"
                                                        : "infinite loop from " + open.back() + " to " + name);
  }
  const auto known = planned_.find(name);
  if (known != planned_.end()) {
    if (!is_linked) plan_.targets[known->second].is_linked = false;
    return;
  }
  if (open.size() > 100) throw Error(ErrorKind::Invalid, "targets need each other too deeply at " + name);
  BakeTarget target = config_.target(name);
  if (!target.context) target.context = ".";
  if (!target.dockerfile || target.dockerfile->empty()) target.dockerfile = "Dockerfile";
  target.is_linked = is_linked;
  open.push_back(name);
  for (const auto& [context, source] : target.contexts) {
    if (!source.starts_with("target:")) continue;
    add_target(source.substr(7), true, open);
    const BakeTarget& needed = plan_.targets[planned_.at(source.substr(7))];
    check_platforms(target, needed);
    for (const std::string& entitlement : needed.entitlements) append_new(target.entitlements, entitlement);
  }
  open.pop_back();
  planned_[name] = plan_.targets.size();
  plan_.targets.push_back(std::move(target));
}

// buildx shows what was asked for as the group "default".
void Planner::add_default_group(const Strings& wanted) {
  Strings names = plan_.groups.count("default") > 0 ? plan_.groups["default"].targets : Strings{};
  for (const std::string& name : wanted) {
    if (name != "default" || config_.find_group("default") == nullptr) append_new(names, name);
  }
  std::sort(names.begin(), names.end());
  plan_.groups["default"].targets = std::move(names);
}

BakePlan Planner::plan() {
  const Strings wanted = wanted_names();
  Strings targets;
  std::set<std::string> seen;
  for (const std::string& name : wanted) add_names(name, targets, seen);
  for (const std::string& name : targets) {
    Strings open;
    add_target(name, false, open);
  }
  for (BakeTarget& target : plan_.targets) {
    // A target that only another one needs makes nothing of its own.
    if (target.is_linked) target.output = std::vector<BakeEntry>{{{"type", "cacheonly"}}};
  }
  add_default_group(wanted);
  return std::move(plan_);
}

std::string padded(const std::string& text, std::size_t width) {
  return text + std::string(width > text.size() ? width - text.size() : 0, ' ');
}

// Columns with blanks between, as wide as their widest cell.
std::string table(const std::vector<Strings>& rows) {
  std::vector<std::size_t> widths(rows.front().size(), 0);
  for (const Strings& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const Strings& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) line += i + 1 == row.size() ? row[i] : padded(row[i], widths[i] + 3);
    while (line.ends_with(' ')) line.pop_back();
    text += line + "\n";
  }
  return text;
}

}  // namespace

const std::vector<std::string>& default_bake_files() {
  static const Strings names = {
      "compose.yaml",     "compose.yml",     "docker-compose.yml",        "docker-compose.yaml",
      "docker-bake.json", "docker-bake.hcl", "docker-bake.override.json", "docker-bake.override.hcl"};
  return names;
}

BakePlan plan_bake(const std::vector<BakeFile>& files, const BakeOptions& options) {
  if (files.empty()) {
    throw Error(ErrorKind::NotFound,
                "couldn't find a bake definition: expected one of " + join(default_bake_files(), ", "));
  }
  return Planner(files, options).plan();
}

std::string print_bake(const BakePlan& plan) {
  Json groups = Json::object();
  for (const auto& [name, group] : plan.groups) {
    Json json = Json::object();
    if (!group.description.empty()) json["description"] = group.description;
    json["targets"] = Json(group.targets);
    groups[name] = std::move(json);
  }
  std::map<std::string, Json> sorted;
  for (const BakeTarget& target : plan.targets) sorted[target.name] = to_json(target);
  Json targets = Json::object();
  for (auto& [name, json] : sorted) targets[name] = std::move(json);
  Json all = Json::object();
  if (!groups.empty()) all["group"] = std::move(groups);
  all["target"] = std::move(targets);
  // Go's encoder, whose output people compare with, escapes what could end a script in HTML.
  std::string text = replace_all(all.dump_pretty(), "&", "\\u0026");
  return replace_all(replace_all(std::move(text), "<", "\\u003c"), ">", "\\u003e") + "\n";
}

std::string list_bake(const std::vector<BakeFile>& files, const BakeOptions& options, BakeList what) {
  BakeConfig config(files, options);
  if (what == BakeList::Variables) {
    std::vector<Strings> rows = {{"VARIABLE", "VALUE", "DESCRIPTION"}};
    for (const BakeVariables::Shown& variable : config.variables().list()) {
      rows.push_back({variable.name, variable.value, variable.description});
    }
    return table(rows);
  }
  std::vector<Strings> rows = {{"TARGET", "DESCRIPTION"}};
  std::map<std::string, std::string> all;
  for (const std::string& name : config.target_names()) all[name] = config.own_target(name).description;
  for (const std::string& name : config.group_names()) {
    const BakeGroup& group = *config.find_group(name);
    all[name] = join(group.targets, ", ") + (group.description.empty() ? "" : " (" + group.description + ")");
  }
  for (const auto& [name, description] : all) rows.push_back({name, description});
  return table(rows);
}

}  // namespace ctr
