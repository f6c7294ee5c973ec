#include "builder/lower.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "builder/image_config_fold.h"
#include "builder/lower_stage.h"
#include "builder/predefined_arguments.h"

namespace ctr {

namespace {

template <typename... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <typename... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

using Variables = std::vector<std::string>;

/// Runs `body`; an Error of it gets the place in the Dockerfile.
template <typename Body>
auto at_source(const SourceText& source, const SourceRange& range, Body&& body) {
  try {
    return body();
  } catch (const SourceError&) {
    throw;
  } catch (const Error& error) {
    throw SourceError(error.kind(), error.what(), source, range);
  }
}

void add_platform_variables(Variables& variables, const std::string& prefix, const Platform& platform) {
  set_environment(variables, prefix + "PLATFORM", platform.str());
  set_environment(variables, prefix + "OS", platform.os);
  set_environment(variables, prefix + "OSVERSION", platform.os_version);
  set_environment(variables, prefix + "ARCH", platform.architecture);
  set_environment(variables, prefix + "VARIANT", platform.variant);
}

/// Lowers the stages of one Dockerfile for one platform.
class Lowering {
 public:
  Lowering(Graph& graph, const Dockerfile& dockerfile, const LowerOptions& options, const LowerSources& sources)
      : graph_(graph), dockerfile_(dockerfile), options_(options), sources_(sources), stages_(dockerfile.stages.size()) {}

  LoweredImage run() {
    const std::size_t target = find_target();
    evaluate_global_arguments(target);
    find_bases();
    for (const std::size_t index : needed_stages(target)) lower_stage(index);
    return finish(*stages_[target]);
  }

 private:
  std::size_t find_target() const {
    if (options_.target.empty()) return dockerfile_.stages.size() - 1;
    if (const auto found = dockerfile_.find_stage(options_.target)) return *found;
    std::vector<std::string> names;
    for (const Stage& stage : dockerfile_.stages)
      if (!stage.name.empty()) names.push_back(stage.name);
    std::string message = "target stage \"" + options_.target + "\" could not be found";
    if (const auto near = nearest_word(options_.target, names)) message += " (did you mean " + *near + "?)";
    throw Error(ErrorKind::Invalid, message);
  }

  void evaluate_global_arguments(std::size_t target) {
    add_platform_variables(globals_, "BUILD", options_.build_platform);
    add_platform_variables(globals_, "TARGET", options_.target_platform);
    const std::string& name = dockerfile_.stages[target].name;
    set_environment(globals_, "TARGETSTAGE", options_.target.empty() && name.empty() ? "default" : name);
    for (const Instruction& instruction : dockerfile_.global_arguments) {
      at_source(*dockerfile_.source, instruction.range, [&] {
        for (const auto& argument : std::get<ArgInstruction>(instruction.body).arguments) {
          const auto given = options_.build_args.find(argument.name);
          if (given != options_.build_args.end()) {
            set_environment(globals_, argument.name, given->second);
          } else if (argument.value) {
            set_environment(globals_, argument.name, expand_global(*argument.value));
          }
        }
      });
    }
  }

  std::string expand_global(const std::string& word) const {
    return expand_word(word, lookup_in(globals_), {.escape = dockerfile_.escape}).text;
  }

  static VariableLookup lookup_in(const Variables& variables) {
    return [&variables](std::string_view name) { return find_environment(variables, name); };
  }

  /// Expands each stage's base and finds which are earlier stages.
  void find_bases() {
    for (std::size_t index = 0; index < dockerfile_.stages.size(); ++index) {
      const Stage& stage = dockerfile_.stages[index];
      const std::string base =
          at_source(*dockerfile_.source, stage.range, [&] { return expand_global(stage.base); });
      if (base.empty())
        throw SourceError(ErrorKind::Invalid, "base name (" + stage.base + ") should not be blank",
                          *dockerfile_.source, stage.range);
      bases_.push_back({base, find_earlier_stage(base, index)});
    }
  }

  std::optional<std::size_t> find_earlier_stage(const std::string& name, std::size_t before) const {
    const std::string wanted = lower_case(name);
    for (std::size_t index = before; index-- > 0;)
      if (!dockerfile_.stages[index].name.empty() && dockerfile_.stages[index].name == wanted) return index;
    return std::nullopt;
  }

  static std::string lower_case(std::string_view text) { return ctr::lower(text); }

  /// Stages that COPY --from and RUN --mount=from of a stage name.
  std::vector<std::pair<std::size_t, const Instruction*>> named_stages(std::size_t index) const {
    std::vector<std::pair<std::size_t, const Instruction*>> result;
    for (const Instruction& instruction : dockerfile_.stages[index].instructions) {
      for (const std::string& from : sources_named_by(instruction)) {
        if (const auto stage = dockerfile_.find_stage(from)) result.emplace_back(*stage, &instruction);
      }
    }
    return result;
  }

  static std::vector<std::string> sources_named_by(const Instruction& instruction) {
    std::vector<std::string> result;
    if (const auto* copy = std::get_if<CopyInstruction>(&instruction.body)) {
      if (!copy->from.empty()) result.push_back(copy->from);
    } else if (const auto* run = std::get_if<RunInstruction>(&instruction.body)) {
      for (const std::string& flag : run->mount_flags) {
        // Only `from` counts here, which is never expanded; the other values may still hold variables.
        for (const std::string& field : split(flag, ','))
          if (lower_case(field).starts_with("from=")) result.push_back(field.substr(5));
      }
    }
    return result;
  }

  /// The target and what it needs, in file order.
  std::vector<std::size_t> needed_stages(std::size_t target) const {
    std::vector<bool> needed(dockerfile_.stages.size(), false);
    std::vector<std::size_t> open{target};
    needed[target] = true;
    while (!open.empty()) {
      const std::size_t index = open.back();
      open.pop_back();
      std::vector<std::size_t> next;
      if (bases_[index].stage) next.push_back(*bases_[index].stage);
      for (const auto& [stage, instruction] : named_stages(index)) {
        if (stage >= index) throw_not_before(stage, index, *instruction);
        next.push_back(stage);
      }
      for (const std::size_t each : next) {
        if (!needed[each]) open.push_back(each);
        needed[each] = true;
      }
    }
    std::vector<std::size_t> result;
    for (std::size_t index = 0; index < needed.size(); ++index)
      if (needed[index]) result.push_back(index);
    return result;
  }

  [[noreturn]] void throw_not_before(std::size_t stage, std::size_t current, const Instruction& instruction) const {
    const std::string name = title_name(stage);
    bool is_cycle = stage == current || bases_[stage].stage == current;
    for (const auto& [other, unused] : named_stages(stage)) is_cycle |= other == current;
    throw SourceError(ErrorKind::Invalid,
                      is_cycle ? "circular dependency detected on stage: " + name
                               : "cannot copy from stage \"" + name + "\", it needs to be defined before current stage \"" +
                                     title_name(current) + "\"",
                      *dockerfile_.source, instruction.range);
  }

  std::string title_name(std::size_t index) const {
    const std::string& name = dockerfile_.stages[index].name;
    return name.empty() ? "stage-" + std::to_string(index) : name;
  }

  // ---- one stage ----

  void lower_stage(std::size_t index) {
    if (stages_[index]) return;
    const Stage& stage = dockerfile_.stages[index];
    StageState state;
    if (dockerfile_.stages.size() > 1 || uses_other_images()) state.name = title_name(index);
    state.ignore_cache = options_.ignore_cache || options_.ignore_cache_stages.contains(stage.name);
    std::vector<Instruction> triggers;
    at_source(*dockerfile_.source, stage.range, [&] { start_stage(state, index, triggers); });
    if (!state.named_tree.empty() || replaced_.contains(index)) {
      stages_[index] = std::move(state);
      return;
    }
    for (const Instruction& instruction : triggers) lower_instruction(state, instruction, true);
    for (const Instruction& instruction : stage.instructions) lower_instruction(state, instruction, false);
    stages_[index] = std::move(state);
  }

  bool uses_other_images() const {
    for (const Instruction& instruction : dockerfile_.stages.front().instructions)
      for (const std::string& from : sources_named_by(instruction))
        if (!dockerfile_.find_stage(from)) return true;
    return false;
  }

  static int count_steps(const std::vector<Instruction>& instructions) {
    return static_cast<int>(std::count_if(instructions.begin(), instructions.end(), [](const Instruction& each) {
      return std::holds_alternative<RunInstruction>(each.body) || std::holds_alternative<CopyInstruction>(each.body) ||
             std::holds_alternative<AddInstruction>(each.body) || std::holds_alternative<WorkdirInstruction>(each.body);
    }));
  }

  void start_stage(StageState& state, std::size_t index, std::vector<Instruction>& triggers) {
    const Stage& stage = dockerfile_.stages[index];
    state.platform = stage_platform(stage);
    state.steps_total = count_steps(stage.instructions);
    if (!stage.name.empty()) {
      if (const auto source = find_context(stage.name, state.platform)) {
        replaced_.insert(index);
        take_source(state, *source, "FROM " + stage.name);
        return;
      }
    }
    std::vector<std::string> trigger_texts;
    if (bases_[index].stage) {
      start_from_stage(state, *bases_[index].stage, trigger_texts);
    } else {
      start_from_image(state, index, trigger_texts);
    }
    for (const std::string& text : trigger_texts) {
      Instruction trigger = parse_trigger(text, dockerfile_.escape);
      trigger.range = stage.range;
      triggers.push_back(std::move(trigger));
    }
    state.environment = merged_environment(state);
    for (const Instruction& trigger : triggers) lower_stages_of_trigger(trigger, index);
  }

  static Variables merged_environment(const StageState& state) {
    Variables result = state.environment;
    for (const std::string& entry : state.config.defaults.env) {
      const std::size_t equals = entry.find('=');
      if (equals != std::string::npos && !find_environment(result, entry.substr(0, equals)))
        set_environment(result, entry.substr(0, equals), entry.substr(equals + 1));
    }
    return result;
  }

  void lower_stages_of_trigger(const Instruction& trigger, std::size_t index) {
    for (const std::string& from : sources_named_by(trigger)) {
      const auto stage = dockerfile_.find_stage(from);
      if (!stage) continue;
      if (*stage >= index) throw_not_before(*stage, index, trigger);
      for (const std::size_t each : needed_stages(*stage)) lower_stage(each);
    }
  }

  Platform stage_platform(const Stage& stage) const {
    if (stage.platform.empty()) return options_.target_platform;
    const std::string text = expand_global(stage.platform);
    if (text.empty())
      throw Error(ErrorKind::Invalid, "empty platform value from expression " + stage.platform);
    return in_context("failed to parse platform " + stage.platform, [&] { return parse_platform(text); });
  }

  void start_from_stage(StageState& state, std::size_t base, std::vector<std::string>& triggers) {
    const StageState& parent = *stages_[base];
    state.root = parent.root;
    state.config = parent.config;
    state.platform = parent.platform;
    state.environment = parent.environment;
    state.arguments = parent.arguments;
    state.named_tree.clear();
    if (!parent.named_tree.empty()) root_of_tree(state, parent.named_tree);
    state.steps_total += static_cast<int>(state.config.defaults.on_build.size());
    triggers = std::move(state.config.defaults.on_build);
    state.config.defaults.on_build.clear();
  }

  void start_from_image(StageState& state, std::size_t index, std::vector<std::string>& triggers) {
    const std::string& name = bases_[index].name;
    if (lower_case(name) == "scratch") {
      state.root = graph_.add({ScratchOp{}, {}}, {});
      state.config = empty_image_config(state.platform);
      return;
    }
    ++state.steps_total;
    if (const auto source = find_context(name, state.platform)) {
      take_source(state, *source, "FROM " + name);
      if (!state.named_tree.empty()) root_of_tree(state, std::exchange(state.named_tree, {}));
    } else {
      take_image(state, sources_.image(name, state.platform), dockerfile_.stages[index].range);
    }
    // With an implicit target the stage takes the platform of what it found.
    if (dockerfile_.stages[index].platform.empty() && !options_.is_platform_given &&
        !state.config.platform.architecture.empty())
      state.platform = state.config.platform;
    triggers = std::move(state.config.defaults.on_build);
    state.config.defaults.on_build.clear();
  }

  std::optional<NamedSource> find_context(const std::string& name, const Platform& platform) const {
    const std::string folded = lower_case(name);
    if (!sources_.named_context || folded == "scratch" || folded == "context") return std::nullopt;
    return sources_.named_context(name, platform);
  }

  /// The files of a named context as a stage's root: copied into a layer.
  void root_of_tree(StageState& state, const std::string& name) {
    const VertexId tree = graph_.add({ContextOp{name}, {}}, {.title = "[context " + name + "] load from client"});
    const VertexId scratch = graph_.add({ScratchOp{}, {}}, {});
    CopyOp copy;
    copy.sources.push_back({.input = 1, .path = "/"});
    copy.destination = "/";
    copy.epoch = options_.epoch;
    state.root = graph_.add({copy, {scratch, tree}}, {.title = "[context " + name + "] copy"});
    state.config = empty_image_config(state.platform);
    add_history(state.config, "COPY / / # buildkit", HistoryLayer::Added);
  }

  void take_source(StageState& state, const NamedSource& source, const std::string&) {
    if (const auto* image = std::get_if<BaseImage>(&source)) {
      take_image(state, *image, {});
    } else {
      state.named_tree = std::get<NamedTree>(source).name;
      state.config = empty_image_config(state.platform);
    }
  }

  void take_image(StageState& state, const BaseImage& image, const SourceRange& range) {
    state.steps_total += static_cast<int>(image.config.defaults.on_build.size());
    LowerContext context = context_of(state, false);
    const std::string title = next_title(context, "FROM " + image.name);
    state.root = image.config.diff_ids.empty()
                     ? graph_.add({ScratchOp{}, {}}, {})
                     : graph_.add({ImageOp{image.name, image.manifest, image.config.diff_ids}, {}},
                                  {.title = title, .where = range});
    state.config = stage_config(image.config);
  }

  // ---- instructions ----

  LowerContext context_of(StageState& state, bool is_trigger) {
    return LowerContext{graph_,
                        dockerfile_,
                        options_,
                        state,
                        is_trigger,
                        [this, &state](const std::string& from, const Instruction& instruction) {
                          return source_vertex(from, state, instruction);
                        },
                        [this] {
                          return graph_.add({ContextOp{""}, {}}, {.title = "[internal] load build context"});
                        }};
  }

  VertexId source_vertex(const std::string& from, const StageState& state, const Instruction& instruction) {
    if (const auto stage = dockerfile_.find_stage(from)) {
      const auto& found = stages_[*stage];
      if (!found) throw Error(ErrorKind::Invalid, "cannot copy from stage \"" + from + "\"");
      if (!found->named_tree.empty()) return tree_vertex(found->named_tree);
      return found->root;
    }
    if (parse_uint(from)) throw Error(ErrorKind::Invalid, "invalid stage index " + from);
    if (lower_case(from) == "scratch") return graph_.add({ScratchOp{}, {}}, {});
    if (const auto source = find_context(from, state.platform)) {
      if (const auto* tree = std::get_if<NamedTree>(&*source)) return tree_vertex(tree->name);
      return image_vertex(std::get<BaseImage>(*source), instruction);
    }
    return image_vertex(sources_.image(from, options_.target_platform), instruction);
  }

  VertexId tree_vertex(const std::string& name) {
    return graph_.add({ContextOp{name}, {}}, {.title = "[context " + name + "] load from client"});
  }

  VertexId image_vertex(const BaseImage& image, const Instruction& instruction) {
    if (image.config.diff_ids.empty()) return graph_.add({ScratchOp{}, {}}, {});
    return graph_.add({ImageOp{image.name, image.manifest, image.config.diff_ids}, {}},
                      {.title = "FROM " + image.name, .where = instruction.range});
  }

  void lower_instruction(StageState& state, Instruction instruction, bool is_trigger) {
    at_source(*dockerfile_.source, instruction.range, [&] {
      if (!std::holds_alternative<ArgInstruction>(instruction.body)) expand(state, instruction);
      LowerContext context = context_of(state, is_trigger);
      dispatch(context, instruction);
    });
  }

  void expand(const StageState& state, Instruction& instruction) const {
    const VariableLookup lookup = lookup_in(state.environment);
    const ExpandOptions options{.escape = dockerfile_.escape};
    Expansions expansions;
    expansions.word = [&](std::string_view word) { return expand_word(word, lookup, options).text; };
    expansions.words = [&](std::string_view word) { return expand_words(word, lookup, options).words; };
    expansions.raw = [&](std::string_view word) {
      return expand_word(word, lookup, {.escape = '\\', .quotes = QuoteHandling::Ignore}).text;
    };
    expand_instruction(instruction, expansions, *dockerfile_.source);
  }

  void dispatch(LowerContext& context, const Instruction& instruction) {
    StageState& stage = context.stage;
    std::visit(Overloaded{
                   [&](const ArgInstruction& each) { lower_arg(stage, each); },
                   [&](const EnvInstruction& each) {
                     fold_env(stage.config, each);
                     for (const KeyValue& pair : each.variables)
                       set_environment(stage.environment, pair.key, pair.value);
                   },
                   [&](const LabelInstruction& each) { fold_label(stage.config, each); },
                   [&](const MaintainerInstruction& each) { fold_maintainer(stage.config, each); },
                   [&](const RunInstruction& each) { lower_run(context, instruction, each); },
                   [&](const CopyInstruction& each) { lower_copy(context, instruction, each); },
                   [&](const AddInstruction& each) { lower_add(context, instruction, each); },
                   [&](const CmdInstruction& each) {
                     fold_cmd(stage.config, each);
                     stage.cmd_is_set = true;
                   },
                   [&](const EntrypointInstruction& each) {
                     fold_entrypoint(stage.config, each, stage.cmd_is_set ? InheritedCmd::Keep : InheritedCmd::Reset);
                   },
                   [&](const WorkdirInstruction& each) { lower_workdir(context, instruction, each); },
                   [&](const UserInstruction& each) { fold_user(stage.config, each); },
                   [&](const ExposeInstruction& each) { fold_expose(stage.config, each); },
                   [&](const VolumeInstruction& each) { fold_volume(stage.config, each); },
                   [&](const StopSignalInstruction& each) { fold_stop_signal(stage.config, each); },
                   [&](const ShellInstruction& each) { fold_shell(stage.config, each); },
                   [&](const HealthcheckInstruction& each) { fold_healthcheck(stage.config, each); },
                   [&](const OnbuildInstruction& each) { fold_onbuild(stage.config, each); },
               },
               instruction.body);
  }

  void lower_arg(StageState& stage, const ArgInstruction& instruction) {
    std::string text = "ARG";
    for (const ArgInstruction::Argument& argument : instruction.arguments) {
      const std::optional<std::string> value = argument_value(stage, argument);
      if (value) set_environment(stage.environment, argument.name, *value);
      stage.arguments.push_back({argument.name, value});
      text += " " + argument.name + (value ? "=" + *value : "");
    }
    add_history(stage.config, std::move(text), HistoryLayer::None);
  }

  std::optional<std::string> argument_value(const StageState& stage, const ArgInstruction::Argument& argument) const {
    const auto given = options_.build_args.find(argument.name);
    if (given != options_.build_args.end()) return given->second;
    if (argument.value)
      return expand_word(*argument.value, lookup_in(stage.environment), {.escape = dockerfile_.escape}).text;
    return find_environment(globals_, argument.name);
  }

  LoweredImage finish(StageState& stage) {
    if (!stage.named_tree.empty()) root_of_tree(stage, std::exchange(stage.named_tree, {}));
    LoweredImage image{stage.root, std::move(stage.config), stage.platform};
    for (const auto& [key, value] : options_.labels) image.config.defaults.labels[key] = value;
    if (options_.is_platform_given) {
      image.config.platform.os = options_.target_platform.os;
      image.config.platform.architecture = options_.target_platform.architecture;
      image.config.platform.variant = options_.target_platform.variant;
    }
    image.config.platform = normalised(image.config.platform);
    image.platform = image.config.platform;
    return image;
  }

  struct Base {
    std::string name;
    std::optional<std::size_t> stage;
  };

  Graph& graph_;
  const Dockerfile& dockerfile_;
  const LowerOptions& options_;
  const LowerSources& sources_;
  Variables globals_;
  std::vector<Base> bases_;
  std::set<std::size_t> replaced_;
  std::vector<std::optional<StageState>> stages_;
};

}  // namespace

LoweredImage lower(Graph& graph, const Dockerfile& dockerfile, const LowerOptions& options,
                   const LowerSources& sources) {
  return Lowering(graph, dockerfile, options, sources).run();
}

}  // namespace ctr
