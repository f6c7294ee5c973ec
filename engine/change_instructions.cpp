// --change of commit and import: instructions of a Dockerfile applied to an image's config by the builder's own parser.

#include <set>

#include "base/error.h"
#include "base/text.h"
#include "builder/dockerfile_parser.h"
#include "builder/image_config_fold.h"
#include "builder/instructions.h"
#include "builder/word_expansion.h"
#include "engine/images.h"

namespace ctr {
namespace {

struct Fold {
  ImageConfig& config;

  void operator()(const EnvInstruction& instruction) const { fold_env(config, instruction); }
  void operator()(const LabelInstruction& instruction) const { fold_label(config, instruction); }
  void operator()(const MaintainerInstruction& instruction) const { fold_maintainer(config, instruction); }
  void operator()(const CmdInstruction& instruction) const { fold_cmd(config, instruction); }
  void operator()(const EntrypointInstruction& instruction) const {
    fold_entrypoint(config, instruction, InheritedCmd::Keep);
  }
  void operator()(const HealthcheckInstruction& instruction) const { fold_healthcheck(config, instruction); }
  void operator()(const UserInstruction& instruction) const { fold_user(config, instruction); }
  void operator()(const VolumeInstruction& instruction) const { fold_volume(config, instruction); }
  void operator()(const StopSignalInstruction& instruction) const { fold_stop_signal(config, instruction); }
  void operator()(const ShellInstruction& instruction) const { fold_shell(config, instruction); }
  void operator()(const ExposeInstruction& instruction) const { fold_expose(config, instruction); }
  void operator()(const OnbuildInstruction& instruction) const { fold_onbuild(config, instruction); }
  void operator()(const WorkdirInstruction& instruction) const { fold_workdir(config, instruction); }
  template <typename Other>
  void operator()(const Other&) const {
    throw Error(ErrorKind::Invalid, "is not an instruction that changes a configuration");
  }
};

void expand(Instruction& instruction, const std::vector<std::string>& env, const Dockerfile& file) {
  const VariableLookup lookup = [&env](std::string_view name) { return find_environment(env, name); };
  Expansions expansions;
  expansions.word = [&](std::string_view word) { return expand_word(word, lookup).text; };
  expansions.words = [&](std::string_view word) { return expand_words(word, lookup).words; };
  expansions.raw = expansions.word;
  expand_instruction(instruction, expansions, *file.source);
}

}  // namespace

void apply_changes(ImageConfig& config, const std::vector<std::string>& changes) {
  const std::vector<History> history = config.history;
  for (const std::string& change : changes) {
    in_context("invalid change \"" + change + "\"", [&] {
      const Dockerfile file = parse_dockerfile("--change", "FROM scratch\n" + change + "\n");
      for (Instruction instruction : file.stages.front().instructions) {
        expand(instruction, config.defaults.env, file);
        std::visit(Fold{config}, instruction.body);
      }
    });
  }
  config.history = history;
}

}  // namespace ctr
