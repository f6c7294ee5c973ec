#include "builder/explain.h"

#include <algorithm>

#include "base/text.h"

namespace ctr {

namespace {

constexpr std::size_t kMaxNames = 10;

using Names = std::vector<std::string>;

std::string name_list(const Names& names) {
  std::string result;
  for (std::size_t i = 0; i < names.size() && i < kMaxNames; ++i) result += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > kMaxNames) result += " and " + std::to_string(names.size() - kMaxNames) + " more";
  return result;
}

std::string count_of_files(const Names& names, const char* what) {
  if (names.empty()) return {};
  return std::to_string(names.size()) + (names.size() == 1 ? " file " : " files ") + what + ": " + name_list(names);
}

void append(std::string& text, const std::string& more) {
  if (more.empty()) return;
  if (!text.empty()) text += "; ";
  text += more;
}

std::map<std::string, std::string> variables_of(const Json& op) {
  std::map<std::string, std::string> result;
  for (const std::string& variable : op.strings("environment")) {
    const std::size_t equals = variable.find('=');
    result[variable.substr(0, equals)] = equals == std::string::npos ? "" : variable.substr(equals + 1);
  }
  return result;
}

std::string quoted_or_unset(const std::map<std::string, std::string>& values, const std::string& name) {
  const auto found = values.find(name);
  return found == values.end() ? "(unset)" : found->second;
}

std::string describe_variables(const Json& before, const Json& now, const std::set<std::string>& arguments) {
  const auto old_values = variables_of(before);
  const auto new_values = variables_of(now);
  std::set<std::string> names;
  for (const auto& [name, value] : old_values) names.insert(name);
  for (const auto& [name, value] : new_values) names.insert(name);
  std::string result;
  for (const std::string& name : names) {
    const std::string from = quoted_or_unset(old_values, name);
    const std::string to = quoted_or_unset(new_values, name);
    if (from != to) append(result, (arguments.contains(name) ? "ARG " : "ENV ") + name + " " + from + " -> " + to);
  }
  return result;
}

}  // namespace

std::string describe_op_change(const Json& before, const Json& now, const std::set<std::string>& arguments) {
  if (before.string_or("op") != now.string_or("op")) return "another instruction stands here";
  std::string result = describe_variables(before, now, arguments);
  std::set<std::string> members;
  for (const auto* op : {&before, &now})
    for (const auto& [name, value] : op->as_object()) members.insert(name);
  members.erase("environment");
  for (const std::string& name : members) {
    const Json* from = before.find(name);
    const Json* to = now.find(name);
    if (from != nullptr && to != nullptr && *from == *to) continue;
    if (name == "arguments") {
      append(result, "command changed");
    } else {
      append(result, name + " changed");
    }
  }
  return result;
}

std::string describe_line_changes(const SelectionLines& before, const SelectionLines& now) {
  Names changed;
  Names added;
  Names removed;
  for (const auto& [name, line] : now) {
    const auto found = before.find(name);
    if (found == before.end()) {
      added.push_back(name);
    } else if (found->second != line) {
      changed.push_back(name);
    }
  }
  for (const auto& [name, line] : before)
    if (!now.contains(name)) removed.push_back(name);
  std::string result;
  append(result, count_of_files(changed, "changed"));
  append(result, count_of_files(added, "added"));
  append(result, count_of_files(removed, "removed"));
  return result;
}

Explainer::Explainer(const BuildCache& cache, const Graph& graph, const std::string& name)
    : cache_(cache), graph_(graph), name_(Digest::of(name)), now_(Json::object()) {
  before_ = cache.find_build(name_).value_or(Json::object());
}

std::string Explainer::step_name(VertexId vertex) const {
  const VertexNote& note = graph_.note(vertex);
  return note.stage + "/" + std::to_string(note.step);
}

std::string Explainer::base_image_of(VertexId vertex) const {
  const std::vector<VertexId>& inputs = graph_.vertex(vertex).inputs;
  if (inputs.empty()) return {};
  const auto* image = std::get_if<ImageOp>(&graph_.vertex(inputs.front()).op);
  return image == nullptr ? std::string() : image->manifest.str();
}

std::string Explainer::explain_files(const SolverOptions::Event& event, const Json& before) const {
  if (!event.checksum) return {};
  const auto key = Digest::from_hex(before.string_or("key"));
  const auto lines = key ? cache_.find_lines(*key) : std::nullopt;
  if (!lines) return "the files of the last build are not known any more";
  return describe_line_changes(*lines, event.checksum->lines);
}

std::string Explainer::explain_inputs(const SolverOptions::Event& event, const Json& before) const {
  const std::vector<std::string> old_inputs = before.strings("inputs");
  if (old_inputs == event.input_ids) return {};
  const std::string old_base = before.string_or("base");
  const std::string new_base = base_image_of(event.vertex);
  if (!new_base.empty() && !old_base.empty() && new_base != old_base)
    return "base moved from " + old_base + " to " + new_base;
  const std::vector<VertexId>& inputs = graph_.vertex(event.vertex).inputs;
  for (std::size_t i = 0; i < event.input_ids.size() && i < inputs.size(); ++i) {
    if (i < old_inputs.size() && old_inputs[i] == event.input_ids[i]) continue;
    const std::string& title = graph_.note(inputs[i]).title;
    return title.empty() ? "what it builds on changed" : "what it builds on changed: " + title;
  }
  return "what it builds on changed";
}

std::string Explainer::explain_miss(const SolverOptions::Event& event, const Json& before) const {
  if (graph_.note(event.vertex).ignore_cache) return "the cache is switched off for this step";
  if (!before.is_object()) return "no earlier build of this step is known";
  std::string result;
  const Json* op = before.find("op");
  if (op != nullptr) append(result, describe_op_change(*op, event.record.op, graph_.note(event.vertex).arguments));
  append(result, explain_inputs(event, before));
  append(result, explain_files(event, before));
  return result.empty() ? "nothing changed, but its record or its layer is gone" : result;
}

std::string Explainer::explain(const SolverOptions::Event& event) {
  const std::lock_guard lock(mutex_);
  const std::string title = graph_.note(event.vertex).title;
  const std::string text = title.substr(std::min(title.find("] ") + 2, title.size()));
  if (event.is_hit) return text + ": hit, same instruction and same content";
  const Json* steps = before_.find("steps");
  const Json* before = steps == nullptr ? nullptr : steps->find(step_name(event.vertex));
  return text + ": " + explain_miss(event, before == nullptr ? Json() : *before);
}

void Explainer::remember(const SolverOptions::Event& event) {
  const std::lock_guard lock(mutex_);
  Json step = Json::object({{"title", graph_.note(event.vertex).title}});
  step["op"] = op_to_json(graph_.vertex(event.vertex).op);
  step["inputs"] = Json(event.input_ids);
  // A step that hit by its fast key has no selection: the lines lie under the key that hit.
  step["key"] = event.key.hex();
  const std::string base = base_image_of(event.vertex);
  if (!base.empty()) step["base"] = base;
  now_["steps"][step_name(event.vertex)] = std::move(step);
}

void Explainer::save() {
  const std::lock_guard lock(mutex_);
  now_["v"] = 1;
  if (now_ == before_) return;
  cache_.save_build(name_, now_);
}

}  // namespace ctr
