#include <algorithm>

#include "base/text.h"
#include "builder/lint_rules.h"

namespace ctr {

namespace {

enum class Casing { Lower, Upper, Mixed };

Casing casing_of(const std::string& word) {
  if (word == upper(word)) return Casing::Upper;
  return word == lower(word) ? Casing::Lower : Casing::Mixed;
}

void check_from_keywords(const Stage& stage, LintReport& report) {
  if (stage.name_as_written.empty()) return;
  if (casing_of(stage.name_as_written) != Casing::Lower && stage.name_as_written != stage.name) {
    report.add(LintRule::StageNameCasing, "Stage name '" + stage.name_as_written + "' should be lowercase",
               stage.range);
  }
  const Casing from = casing_of(stage.keyword);
  if (from == Casing::Mixed || casing_of(stage.as_keyword) != from) {
    report.add(LintRule::FromAsCasing,
               "'" + stage.as_keyword + "' and '" + stage.keyword + "' keywords' casing do not match", stage.range);
  }
}

void check_stage_names(const Dockerfile& dockerfile, LintReport& report) {
  std::set<std::string> seen;
  for (const Stage& stage : dockerfile.stages) {
    if (stage.name.empty()) continue;
    if (stage.name == "context" || stage.name == "scratch") {
      report.add(LintRule::ReservedStageName,
                 "Stage name should not use the same name as reserved stage \"" + stage.name + "\"", stage.range);
    }
    if (!seen.insert(stage.name).second) {
      report.add(LintRule::DuplicateStageName,
                 "Duplicate stage name \"" + stage.name + "\", stage names should be unique", stage.range);
    }
  }
}

// The keywords that stand in stages, each with its place.
std::vector<std::pair<std::string, SourceRange>> keywords_of(const Dockerfile& dockerfile) {
  std::vector<std::pair<std::string, SourceRange>> keywords;
  for (const Stage& stage : dockerfile.stages) {
    keywords.emplace_back(stage.keyword, stage.range);
    for (const Instruction& instruction : stage.instructions)
      keywords.emplace_back(instruction.keyword, instruction.range);
  }
  return keywords;
}

void check_casing(const Dockerfile& dockerfile, LintReport& report) {
  const auto keywords = keywords_of(dockerfile);
  const auto count = [&](Casing wanted) {
    return std::count_if(keywords.begin(), keywords.end(),
                         [&](const auto& entry) { return casing_of(entry.first) == wanted; });
  };
  const Casing majority = count(Casing::Lower) > count(Casing::Upper) ? Casing::Lower : Casing::Upper;
  for (const auto& [keyword, range] : keywords) {
    if (casing_of(keyword) == majority) continue;
    report.add(LintRule::ConsistentInstructionCasing,
               "Command '" + keyword + "' should match the case of the command majority (" +
                   (majority == Casing::Lower ? "lowercase" : "uppercase") + ")",
               range);
  }
}

// The last of the comment lines right above is taken for a description of what follows.
void check_description(const char* what, const std::vector<std::string>& names,
                       const std::vector<std::string>& comments, const SourceRange& range, LintReport& report) {
  if (comments.empty() || names.empty() || names.front().empty()) return;
  const std::string first_word = comments.back().substr(0, comments.back().find(' '));
  if (std::find(names.begin(), names.end(), first_word) != names.end()) return;
  const std::string example = names.size() > 1 ? "<arg_key>" : names.front();
  report.add(LintRule::InvalidDefinitionDescription,
             std::string("Comment for ") + what + " should follow the format: `# " + example + " <description>`",
             range);
}

bool is_secret_name(const std::string& name) {
  static const std::set<std::string> kSecret = {"apikey",   "auth",  "credential", "credentials", "key",
                                                "password", "pword", "passwd",     "secret",      "token"};
  static const std::set<std::string> kHarmless = {"public", "file", "version"};
  bool is_secret = false;
  for (const std::string& word : split(lower(name), '_')) {
    if (kHarmless.count(word) > 0) return false;
    is_secret = is_secret || kSecret.count(word) > 0;
  }
  return is_secret;
}

void check_secret(const char* instruction, const std::string& name, const SourceRange& range, LintReport& report) {
  if (!is_secret_name(name)) return;
  report.add(
      LintRule::SecretsUsedInArgOrEnv,
      std::string("Do not use ARG or ENV instructions for sensitive data (") + instruction + " \"" + name + "\")",
      range);
}

void check_key_values(const char* name, const std::vector<KeyValue>& pairs, const SourceRange& range,
                      LintReport& report) {
  for (const KeyValue& pair : pairs) {
    if (pair.has_equals) continue;
    report.add(
        LintRule::LegacyKeyValueFormat,
        std::string("\"") + name + " key=value\" should be used instead of legacy \"" + name + " key value\" format",
        range);
  }
}

void check_arguments(const Instruction& instruction, LintReport& report) {
  const auto* arg = std::get_if<ArgInstruction>(&instruction.body);
  if (arg == nullptr) return;
  std::vector<std::string> names;
  for (const ArgInstruction::Argument& argument : arg->arguments) {
    check_secret("ARG", argument.name, instruction.range, report);
    names.push_back(argument.name);
  }
  check_description("ARG", names, instruction.comments, instruction.range, report);
}

void check_instruction(const Instruction& instruction, LintReport& report) {
  check_arguments(instruction, report);
  if (const auto* env = std::get_if<EnvInstruction>(&instruction.body)) {
    check_key_values("ENV", env->variables, instruction.range, report);
    for (const KeyValue& pair : env->variables) check_secret("ENV", pair.key, instruction.range, report);
  } else if (const auto* label = std::get_if<LabelInstruction>(&instruction.body)) {
    check_key_values("LABEL", label->labels, instruction.range, report);
  } else if (std::holds_alternative<MaintainerInstruction>(instruction.body)) {
    report.add(LintRule::MaintainerDeprecated, "Maintainer instruction is deprecated in favor of using label",
               instruction.range);
  }
}

// Of several CMD only the last counts; the warning is at those that do nothing.
template <typename Body>
void check_used_once(const Stage& stage, const char* name, LintReport& report) {
  const Instruction* earlier = nullptr;
  for (const Instruction& instruction : stage.instructions) {
    if (!std::holds_alternative<Body>(instruction.body)) continue;
    if (earlier != nullptr) {
      report.add(LintRule::MultipleInstructionsDisallowed,
                 std::string("Multiple ") + name +
                     " instructions should not be used in the same stage because only the last one will be used",
                 earlier->range);
    }
    earlier = &instruction;
  }
}

}  // namespace

void lint_text(const Dockerfile& dockerfile, LintReport& report) {
  for (const SourceRange& range : dockerfile.empty_continuation_lines) {
    report.add(LintRule::NoEmptyContinuation, "Empty continuation line", range);
  }
  check_casing(dockerfile, report);
  check_stage_names(dockerfile, report);
  for (const Instruction& argument : dockerfile.global_arguments) check_arguments(argument, report);
  for (const Stage& stage : dockerfile.stages) {
    check_from_keywords(stage, report);
    check_description("FROM", {stage.name}, stage.comments, stage.range, report);
    for (const Instruction& instruction : stage.instructions) check_instruction(instruction, report);
    check_used_once<CmdInstruction>(stage, "CMD", report);
    check_used_once<EntrypointInstruction>(stage, "ENTRYPOINT", report);
    check_used_once<HealthcheckInstruction>(stage, "HEALTHCHECK", report);
  }
}

}  // namespace ctr
