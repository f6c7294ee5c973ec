// The state of one stage while its instructions are lowered, shared by lower.cpp, lower_run.cpp and lower_copy.cpp.
// Internal to the builder.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "builder/graph.h"
#include "builder/instructions.h"
#include "builder/lower.h"
#include "builder/word_expansion.h"

namespace ctr {

struct BuildArgument {
  std::string name;
  std::optional<std::string> value;
};

struct StageState {
  std::string name;  ///< as titles show it; empty if there is only one stage
  VertexId root = 0;
  ImageConfig config;
  Platform platform;
  std::vector<std::string> environment;       ///< the image's variables and the arguments: what RUN and $x see
  std::vector<BuildArgument> arguments;       ///< for the history of RUN
  std::string named_tree;                     ///< the stage is a named context's files
  bool cmd_is_set = false;
  bool ignore_cache = false;
  int steps_total = 0;
  int steps_done = 0;
};

/// What an instruction of a stage needs to be lowered.
struct LowerContext {
  Graph& graph;
  const Dockerfile& dockerfile;
  const LowerOptions& options;
  StageState& stage;
  bool is_trigger = false;  ///< the instruction is an ONBUILD trigger
  /// The vertex for `--from=name`.
  std::function<VertexId(const std::string& from, const Instruction& instruction)> source_of;
  /// The build context's vertex.
  std::function<VertexId()> context;
};

/// `[builder 2/5] RUN make`; counts the step.
std::string next_title(LowerContext& context, const std::string& text);

/// The note of the next step, with its title.
VertexNote next_note(LowerContext& context, const Instruction& instruction, const std::string& text);

/// The instruction's text as a title shows it: the keyword in capitals, set variables replaced.
std::string title_text(const LowerContext& context, const Instruction& instruction);

void lower_run(LowerContext& context, const Instruction& instruction, const RunInstruction& run);
void lower_copy(LowerContext& context, const Instruction& instruction, const CopyInstruction& copy);
void lower_add(LowerContext& context, const Instruction& instruction, const AddInstruction& add);
void lower_workdir(LowerContext& context, const Instruction& instruction, const WorkdirInstruction& workdir);

}  // namespace ctr
