// The 22 build checks by name, with what they are about and what to do, and the report that collects what they find. A
// rule that the Dockerfile skips never gets into the report.
#pragma once

#include <string>
#include <vector>

#include "builder/lint.h"

namespace ctr {

enum class LintRule {
  StageNameCasing,
  FromAsCasing,
  NoEmptyContinuation,
  ConsistentInstructionCasing,
  DuplicateStageName,
  ReservedStageName,
  JsonArgsRecommended,
  MaintainerDeprecated,
  UndefinedArgInFrom,
  WorkdirRelativePath,
  UndefinedVar,
  MultipleInstructionsDisallowed,
  LegacyKeyValueFormat,
  InvalidBaseImagePlatform,
  RedundantTargetPlatform,
  SecretsUsedInArgOrEnv,
  InvalidDefaultArgInFrom,
  FromPlatformFlagConstDisallowed,
  CopyIgnoredFile,
  ExposeProtoCasing,
  ExposeInvalidFormat,
  InvalidDefinitionDescription,
};

class LintReport {
 public:
  explicit LintReport(const LintConfig& config) : config_(config) {}

  void add(LintRule rule, std::string detail, const SourceRange& range);

  /// True once there are more warnings than anybody reads; later ones are dropped.
  bool is_full() const noexcept { return warnings_.size() >= kMaxWarnings; }

  /// What was found, in the order of the file.
  std::vector<LintWarning> take();

 private:
  static constexpr std::size_t kMaxWarnings = 1000;

  const LintConfig& config_;
  std::vector<LintWarning> warnings_;
};

/// The rules that need nothing but the text.
void lint_text(const Dockerfile& dockerfile, LintReport& report);

/// The rules that follow variables, base images and the ignore file through the stages.
void lint_stages(const Dockerfile& dockerfile, const LintInput& input, LintReport& report);

}  // namespace ctr
