#include <algorithm>
#include <utility>

#include "base/text.h"
#include "builder/go_match.h"
#include "builder/ignore_patterns.h"
#include "builder/lint_rules.h"
#include "builder/predefined_arguments.h"
#include "builder/word_expansion.h"
#include "image/platform.h"
#include "image/reference.h"

namespace ctr {

namespace {

using Variables = std::map<std::string, std::string>;

VariableLookup lookup_in(const Variables& variables) {
  return [&variables](std::string_view name) -> std::optional<std::string> {
    const auto found = variables.find(std::string(name));
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  };
}

// The expansion of a word, or nothing if it is wrong: the build itself will say so.
std::optional<ExpandedWord> try_expand(std::string_view word, const Variables& variables, char escape) {
  ExpandOptions options;
  options.escape = escape;
  try {
    return expand_word(word, lookup_in(variables), options);
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::string suggestion(const std::string& name, const std::vector<std::string>& known, const char* dollar) {
  const std::optional<std::string> nearest = nearest_word(name, known);
  return nearest ? std::string(" (did you mean ") + dollar + *nearest + "?)" : "";
}

std::vector<std::string> names_in(const Variables& variables) {
  std::vector<std::string> names;
  for (const auto& [name, value] : variables) names.push_back(name);
  return names;
}

// What is known where a stage stands: inherited by stages that start from it.
struct StageState {
  Variables environment;
  std::map<std::string, std::optional<std::string>> arguments;  // declared with ARG
  bool knows_environment = true;  // false behind an image whose config nobody has looked up
  bool has_workdir = false;
  bool has_shell = false;

  // ENV goes before ARG.
  std::optional<std::string> find(std::string_view wanted) const {
    const std::string name(wanted);
    if (const auto variable = environment.find(name); variable != environment.end()) return variable->second;
    const auto argument = arguments.find(name);
    return argument == arguments.end() ? std::nullopt : argument->second;
  }
  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const auto& [name, value] : environment) all.push_back(name);
    for (const auto& [name, value] : arguments) all.push_back(name);
    return all;
  }
};

class StageLinter {
 public:
  StageLinter(const Dockerfile& dockerfile, const LintInput& input, LintReport& report)
      : dockerfile_(dockerfile), input_(input), report_(report), states_(dockerfile.stages.size()) {}

  void run();

 private:
  Variables platform_values() const;
  Variables global_values(const std::map<std::string, std::string>& build_arguments) const;
  std::optional<std::size_t> earlier_stage(std::string_view name, std::size_t before) const;
  void mark_needed(std::size_t index, std::vector<bool>& needed) const;
  std::vector<std::string> stages_used_by(const Instruction& instruction) const;

  void check_from(const Stage& stage);
  void check_platform_flag(const Stage& stage, const ExpandedWord& platform);
  void check_names(const Stage& stage, const std::set<std::string>& unset);
  void check_default(const Stage& stage, const Variables& defaults);
  StageState start_of(std::size_t index);
  void check_base_platform(const Stage& stage, const std::string& image, const std::string& wanted,
                           const std::string& actual);

  void walk(std::size_t index);
  void step(const Instruction& instruction, StageState& state);
  void check_unset(const Instruction& instruction, const std::set<std::string>& unset, const StageState& state);
  void apply(const Instruction& instruction, const Instruction& expanded, StageState& state);
  void declare(const ArgInstruction& arg, StageState& state);
  void check_command(const CommandLine& command, const char* name, const Instruction& instruction,
                     const StageState& state);
  void check_ports(const ExposeInstruction& expose, const SourceRange& range);
  void check_sources(const std::vector<std::string>& sources, const char* verb, const SourceRange& range);

  const Dockerfile& dockerfile_;
  const LintInput& input_;
  LintReport& report_;
  std::vector<StageState> states_;
  Variables globals_;
};

// ---- the global scope ----

// Where the caller does not know the platforms, any will do: lint looks at names and at whether they are empty.
Variables StageLinter::platform_values() const {
  Variables values = {{"BUILDPLATFORM", "linux/amd64"},
                      {"BUILDOS", "linux"},
                      {"BUILDARCH", "amd64"},
                      {"BUILDVARIANT", ""},
                      {"BUILDOSVERSION", ""},
                      {"TARGETPLATFORM", "linux/amd64"},
                      {"TARGETOS", "linux"},
                      {"TARGETARCH", "amd64"},
                      {"TARGETVARIANT", ""},
                      {"TARGETOSVERSION", ""},
                      {"TARGETSTAGE", "default"}};
  for (const auto& [name, value] : input_.platform_arguments) values[name] = value;
  return values;
}

Variables StageLinter::global_values(const std::map<std::string, std::string>& build_arguments) const {
  Variables values = platform_values();
  for (const auto& [name, value] : build_arguments) {
    if (is_platform_argument(name)) values[name] = value;
  }
  for (const Instruction& instruction : dockerfile_.global_arguments) {
    for (const ArgInstruction::Argument& argument : std::get<ArgInstruction>(instruction.body).arguments) {
      const auto given = build_arguments.find(argument.name);
      if (given != build_arguments.end()) {
        values[argument.name] = given->second;
      } else if (argument.value) {
        const std::optional<ExpandedWord> word = try_expand(*argument.value, values, dockerfile_.escape);
        values[argument.name] = word ? word->text : "";
      }
    }
  }
  return values;
}

// ---- which stages are looked at ----

std::optional<std::size_t> StageLinter::earlier_stage(std::string_view name, std::size_t before) const {
  const std::string wanted = lower(name);
  for (std::size_t i = before; i-- > 0;) {
    if (!wanted.empty() && dockerfile_.stages[i].name == wanted) return i;
  }
  return std::nullopt;
}

std::vector<std::string> StageLinter::stages_used_by(const Instruction& instruction) const {
  if (const auto* copy = std::get_if<CopyInstruction>(&instruction.body)) return {copy->from};
  std::vector<std::string> used;
  if (const auto* run = std::get_if<RunInstruction>(&instruction.body)) {
    for (const std::string& mount : run->mount_flags) {
      for (const std::string& field : split(mount, ',')) {
        if (lower(field).starts_with("from=")) used.push_back(field.substr(5));
      }
    }
  }
  return used;
}

void StageLinter::mark_needed(std::size_t index, std::vector<bool>& needed) const {
  std::vector<std::size_t> open{index};
  while (!open.empty()) {
    const std::size_t current = open.back();
    open.pop_back();
    if (needed[current]) continue;
    needed[current] = true;
    const Stage& stage = dockerfile_.stages[current];
    const std::optional<ExpandedWord> base = try_expand(stage.base, globals_, dockerfile_.escape);
    if (const auto from = earlier_stage(base ? base->text : stage.base, current)) open.push_back(*from);
    for (const Instruction& instruction : stage.instructions) {
      for (const std::string& name : stages_used_by(instruction)) {
        if (const auto found = dockerfile_.find_stage(name)) open.push_back(*found);
      }
    }
  }
}

// ---- FROM ----

void StageLinter::check_names(const Stage& stage, const std::set<std::string>& unset) {
  if (unset.empty() || report_.is_full()) return;
  std::vector<std::string> known = names_in(globals_);
  for (const Instruction& instruction : dockerfile_.global_arguments) {
    for (const auto& argument : std::get<ArgInstruction>(instruction.body).arguments) known.push_back(argument.name);
  }
  for (const std::string& name : unset) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    report_.add(LintRule::UndefinedArgInFrom,
                "FROM argument '" + name + "' is not declared" + suggestion(name, known, ""), stage.range);
  }
}

void StageLinter::check_platform_flag(const Stage& stage, const ExpandedWord& platform) {
  if (platform.set_names == std::set<std::string>{"TARGETPLATFORM"} && platform.unset_names.empty() &&
      platform.text == globals_.at("TARGETPLATFORM")) {
    report_.add(
        LintRule::RedundantTargetPlatform,
        "Setting platform to predefined " + stage.platform + " in FROM is redundant as this is the default behavior",
        stage.range);
  }
  if (!platform.set_names.empty() || !platform.unset_names.empty()) return;
  try {
    const Platform parsed = normalised(parse_platform(platform.text));
    // A stage that is named after its platform means to be constant.
    if (stage.name.find(parsed.os) != std::string::npos || stage.name.find(parsed.architecture) != std::string::npos)
      return;
  } catch (const Error&) {
    return;  // the build will refuse it
  }
  report_.add(LintRule::FromPlatformFlagConstDisallowed,
              "FROM --platform flag should not use constant value \"" + platform.text + "\"", stage.range);
}

void StageLinter::check_default(const Stage& stage, const Variables& defaults) {
  const std::optional<ExpandedWord> base = try_expand(stage.base, defaults, dockerfile_.escape);
  if (!base || (base->set_names.empty() && base->unset_names.empty())) return;
  if (Reference::try_parse(base->text)) return;
  report_.add(LintRule::InvalidDefaultArgInFrom,
              "Default value for ARG " + stage.base + " results in empty or invalid base image name", stage.range);
}

void StageLinter::check_from(const Stage& stage) {
  std::set<std::string> unset;
  if (const std::optional<ExpandedWord> base = try_expand(stage.base, globals_, dockerfile_.escape)) {
    unset = base->unset_names;
  }
  if (!stage.platform.empty()) {
    if (const std::optional<ExpandedWord> platform = try_expand(stage.platform, globals_, dockerfile_.escape)) {
      unset.insert(platform->unset_names.begin(), platform->unset_names.end());
      check_platform_flag(stage, *platform);
    }
  }
  check_names(stage, unset);
}

void StageLinter::check_base_platform(const Stage& stage, const std::string& image, const std::string& wanted,
                                      const std::string& actual) {
  try {
    const Platform expected = normalised(parse_platform(wanted));
    const Platform found = normalised(parse_platform(actual));
    if (expected.os == found.os && expected.architecture == found.architecture) return;
    report_.add(LintRule::InvalidBaseImagePlatform,
                "Base image " + image + " was pulled with platform \"" + found.str() + "\", expected \"" +
                    expected.str() + "\" for current build",
                stage.range);
  } catch (const Error&) {
    return;  // no platform that anybody knows
  }
}

StageState StageLinter::start_of(std::size_t index) {
  const Stage& stage = dockerfile_.stages[index];
  const std::optional<ExpandedWord> base = try_expand(stage.base, globals_, dockerfile_.escape);
  const std::string image = base ? base->text : stage.base;
  if (const auto from = earlier_stage(image, index)) return states_[*from];
  StageState state;
  state.environment["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  if (image == "scratch") return state;
  const std::optional<ExpandedWord> platform = try_expand(stage.platform, globals_, dockerfile_.escape);
  const std::string wanted = platform && !platform->text.empty() ? platform->text : globals_.at("TARGETPLATFORM");
  const std::optional<BaseImageFacts> facts = input_.base_image ? input_.base_image(image, wanted) : std::nullopt;
  state.knows_environment = facts.has_value();
  if (!facts) return state;
  for (const auto& [name, value] : facts->environment) state.environment[name] = value;
  state.has_shell = facts->has_shell;
  if (!facts->platform.empty()) check_base_platform(stage, image, wanted, facts->platform);
  return state;
}

// ---- instructions ----

void StageLinter::check_unset(const Instruction& instruction, const std::set<std::string>& unset,
                              const StageState& state) {
  if (!state.knows_environment) return;
  for (const std::string& name : unset) {
    if (state.arguments.count(name) > 0 || report_.is_full()) continue;
    report_.add(LintRule::UndefinedVar,
                "Usage of undefined variable '$" + name + "'" + suggestion(name, state.names(), "$"),
                instruction.range);
  }
}

void StageLinter::declare(const ArgInstruction& arg, StageState& state) {
  for (const ArgInstruction::Argument& argument : arg.arguments) {
    std::optional<std::string> value = argument.value;
    const auto given = input_.build_arguments.find(argument.name);
    const auto global = globals_.find(argument.name);
    if (given != input_.build_arguments.end()) {
      value = given->second;
    } else if (!value && global != globals_.end()) {
      value = global->second;
    }
    state.arguments[argument.name] = value;
  }
}

void StageLinter::check_command(const CommandLine& command, const char* name, const Instruction& instruction,
                                const StageState& state) {
  if (!command.shell_form || state.has_shell) return;
  report_.add(
      LintRule::JsonArgsRecommended,
      std::string("JSON arguments recommended for ") + name + " to prevent unintended behavior related to OS signals",
      instruction.range);
}

void StageLinter::check_ports(const ExposeInstruction& expose, const SourceRange& range) {
  for (const std::string& port : expose.ports) {
    const std::size_t slash = port.rfind('/');
    const std::string protocol = slash == std::string::npos ? "" : port.substr(slash + 1);
    if (protocol != lower(protocol)) {
      report_.add(LintRule::ExposeProtoCasing,
                  "Defined protocol '" + port + "' in EXPOSE instruction should be lowercase", range);
    }
    if (port.find(':') != std::string::npos) {
      report_.add(LintRule::ExposeInvalidFormat,
                  "EXPOSE instruction should not define an IP address or host-port mapping, found '" + port + "'",
                  range);
    }
  }
}

void StageLinter::check_sources(const std::vector<std::string>& sources, const char* verb, const SourceRange& range) {
  // With exceptions in the file it can't be said without looking: something below the path may be wanted.
  if (input_.ignore == nullptr || input_.ignore->has_exceptions()) return;
  for (const std::string& source : sources) {
    if (source.find("://") != std::string::npos) continue;
    std::string path = clean_path(source);
    if (path.size() > 1 && path.front() == '/') path.erase(0, 1);
    if (!input_.ignore->is_ignored(path)) continue;
    report_.add(LintRule::CopyIgnoredFile,
                std::string("Attempting to ") + verb + " file \"" + path + "\" that is excluded by .dockerignore",
                range);
  }
}

// What the instruction does to the state, and the checks that look at expanded values.
void StageLinter::apply(const Instruction& instruction, const Instruction& expanded, StageState& state) {
  const SourceRange& range = instruction.range;
  if (const auto* arg = std::get_if<ArgInstruction>(&expanded.body)) {
    declare(*arg, state);
  } else if (const auto* env = std::get_if<EnvInstruction>(&expanded.body)) {
    for (const KeyValue& pair : env->variables) state.environment[pair.key] = pair.value;
  } else if (const auto* workdir = std::get_if<WorkdirInstruction>(&expanded.body)) {
    if (!state.has_workdir && !workdir->path.starts_with('/')) {
      report_.add(LintRule::WorkdirRelativePath,
                  "Relative workdir \"" + workdir->path + "\" can have unexpected results if the base image changes",
                  range);
    }
    state.has_workdir = true;
  } else if (const auto* cmd = std::get_if<CmdInstruction>(&expanded.body)) {
    check_command(cmd->command, "CMD", instruction, state);
  } else if (const auto* entrypoint = std::get_if<EntrypointInstruction>(&expanded.body)) {
    check_command(entrypoint->command, "ENTRYPOINT", instruction, state);
  } else if (std::holds_alternative<ShellInstruction>(expanded.body)) {
    state.has_shell = true;
  } else if (const auto* expose = std::get_if<ExposeInstruction>(&expanded.body)) {
    check_ports(*expose, range);
  } else if (const auto* copy = std::get_if<CopyInstruction>(&expanded.body)) {
    if (copy->from.empty()) check_sources(copy->files.sources, "Copy", range);
  } else if (const auto* add = std::get_if<AddInstruction>(&expanded.body)) {
    check_sources(add->files.sources, "Add", range);
  }
}

void StageLinter::step(const Instruction& instruction, StageState& state) {
  const VariableLookup lookup = [&](std::string_view name) { return state.find(name); };
  std::set<std::string> unset;
  const auto expand = [&](std::string_view word, QuoteHandling quotes) {
    ExpandOptions options;
    options.escape = dockerfile_.escape;
    options.quotes = quotes;
    ExpandedWord result = expand_word(word, lookup, options);
    unset.insert(result.unset_names.begin(), result.unset_names.end());
    return result.text;
  };
  const Expansions expansions{[&](std::string_view word) { return expand(word, QuoteHandling::Remove); },
                              [&](std::string_view word) { return split_words(expand(word, QuoteHandling::Remove)); },
                              [&](std::string_view text) { return expand(text, QuoteHandling::Ignore); }};
  Instruction expanded = instruction;
  try {
    expand_instruction(expanded, expansions, *dockerfile_.source);
  } catch (const Error&) {
    return;  // the build will refuse it with its own words
  }
  check_unset(instruction, unset, state);
  apply(instruction, expanded, state);
}

void StageLinter::walk(std::size_t index) {
  StageState state = start_of(index);
  // Arguments are inherited, and so is everything else, from a stage; never from an image.
  for (const Instruction& instruction : dockerfile_.stages[index].instructions) step(instruction, state);
  states_[index] = std::move(state);
}

void StageLinter::run() {
  globals_ = global_values(input_.build_arguments);
  const Variables defaults = global_values({});
  for (const Stage& stage : dockerfile_.stages) {
    check_from(stage);
    check_default(stage, defaults);
  }
  std::vector<bool> needed(dockerfile_.stages.size(), false);
  mark_needed(std::min(input_.target.value_or(dockerfile_.stages.size() - 1), dockerfile_.stages.size() - 1), needed);
  for (std::size_t i = 0; i < dockerfile_.stages.size(); ++i) {
    if (needed[i]) walk(i);
  }
}

}  // namespace

void lint_stages(const Dockerfile& dockerfile, const LintInput& input, LintReport& report) {
  StageLinter(dockerfile, input, report).run();
}

}  // namespace ctr
