// The titles of steps as BuildKit numbers them: "[2/3] WORKDIR /app", with stage and platform where there are several.
#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "builder/image_config_fold.h"
#include "builder/lower_stage.h"

namespace ctr {

std::string next_title(LowerContext& context, const std::string& text) {
  StageState& stage = context.stage;
  std::string title = "[";
  if (context.options.is_multi_platform) {
    title += stage.platform.str();
    const Platform& target = context.options.target_platform;
    const bool is_cross = normalised(stage.platform) != normalised(target);
    if (is_cross && (find_environment(stage.environment, "TARGETPLATFORM") ||
                     find_environment(stage.environment, "TARGETARCH")))
      title += "->" + (stage.platform.os == target.os ? target.str().substr(target.os.size() + 1) : target.str());
    title += ' ';
  }
  if (!stage.name.empty()) title += stage.name + " ";
  ++stage.steps_done;
  const std::string total = std::to_string(stage.steps_total);
  std::string done = std::to_string(stage.steps_done);
  if (done.size() < total.size()) done.insert(0, total.size() - done.size(), ' ');
  title += done + "/" + total + "] ";
  if (context.is_trigger) title += "ONBUILD ";
  return title + text;
}

VertexNote next_note(LowerContext& context, const Instruction& instruction, const std::string& text) {
  VertexNote note;
  note.title = next_title(context, text);
  note.where = instruction.range;
  note.ignore_cache = context.stage.ignore_cache;
  note.stage = context.options.is_multi_platform ? context.stage.platform.str() + " " + context.stage.name
                                                 : context.stage.name;
  for (const BuildArgument& argument : context.stage.arguments) note.arguments.insert(argument.name);
  note.step = context.stage.steps_done;
  return note;
}

std::string title_text(const LowerContext& context, const Instruction& instruction) {
  const std::string rest = instruction.text.substr(std::min(instruction.keyword.size(), instruction.text.size()));
  const VariableLookup lookup = [&](std::string_view name) -> std::optional<std::string> {
    if (auto value = find_environment(context.stage.environment, name)) return value;
    return "$" + std::string(name);
  };
  std::string expanded = rest;
  try {
    expanded = expand_word(rest, lookup,
                           {.escape = context.dockerfile.escape, .quotes = QuoteHandling::Keep,
                            .escapes = EscapeHandling::Keep})
                   .text;
  } catch (const Error&) {
    expanded = rest;  // a title is shown as it was written if it is no word list
  }
  return upper(instruction.keyword) + expanded;
}

}  // namespace ctr
