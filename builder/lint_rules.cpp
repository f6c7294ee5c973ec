#include "builder/lint_rules.h"

#include <algorithm>
#include <utility>

namespace ctr {

namespace {

enum class Standing { Stable, Experimental };

struct RuleText {
  LintRule rule;
  const char* name;
  const char* description;
  const char* help;
  Standing standing = Standing::Stable;
};

constexpr RuleText kRules[] = {
    {LintRule::StageNameCasing, "StageNameCasing", "Stage names should be lowercase",
     "write the name after AS in lower case; names are compared that way"},
    {LintRule::FromAsCasing, "FromAsCasing", "The 'as' keyword should match the case of the 'from' keyword",
     "write FROM … AS or from … as"},
    {LintRule::NoEmptyContinuation, "NoEmptyContinuation",
     "Empty continuation lines will become errors in a future release",
     "delete the blank line, or put a comment there"},
    {LintRule::ConsistentInstructionCasing, "ConsistentInstructionCasing",
     "All commands within the Dockerfile should use the same casing (either upper or lower)",
     "write all instructions in upper case, or all in lower case"},
    {LintRule::DuplicateStageName, "DuplicateStageName", "Stage names should be unique",
     "rename one of the stages; COPY --from sees only one of them"},
    {LintRule::ReservedStageName, "ReservedStageName", "Reserved words should not be used as stage names",
     "choose a name other than context and scratch"},
    {LintRule::JsonArgsRecommended, "JSONArgsRecommended",
     "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals",
     "write [\"program\", \"argument\"]: in the shell form the shell is process 1 and keeps signals from the program"},
    {LintRule::MaintainerDeprecated, "MaintainerDeprecated",
     "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
     "write LABEL org.opencontainers.image.authors=\"…\""},
    {LintRule::UndefinedArgInFrom, "UndefinedArgInFrom", "FROM command must use declared ARGs",
     "declare the variable with ARG before the first FROM"},
    {LintRule::WorkdirRelativePath, "WorkdirRelativePath",
     "Relative workdir without an absolute workdir declared within the build can have unexpected results if the base "
     "image "
     "changes",
     "begin the path with /"},
    {LintRule::UndefinedVar, "UndefinedVar", "Variables should be defined before their use",
     "declare the variable with ARG or ENV in this stage, or correct its name"},
    {LintRule::MultipleInstructionsDisallowed, "MultipleInstructionsDisallowed",
     "Multiple instructions of the same type should not be used in the same stage", "delete all but the last one"},
    {LintRule::LegacyKeyValueFormat, "LegacyKeyValueFormat",
     "Legacy key/value format with whitespace separator should not be used", "put = between name and value"},
    {LintRule::InvalidBaseImagePlatform, "InvalidBaseImagePlatform",
     "Base image platform does not match expected target platform",
     "use an image that exists for the platform, or say FROM --platform=…"},
    {LintRule::RedundantTargetPlatform, "RedundantTargetPlatform",
     "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
     "delete --platform"},
    {LintRule::SecretsUsedInArgOrEnv, "SecretsUsedInArgOrEnv",
     "Sensitive data should not be used in the ARG or ENV commands",
     "hand it in with RUN --mount=type=secret: ARG and ENV stay readable in the image"},
    {LintRule::InvalidDefaultArgInFrom, "InvalidDefaultArgInFrom",
     "Default value for global ARG results in an empty or invalid base image name",
     "give the ARG a default that makes a valid image name"},
    {LintRule::FromPlatformFlagConstDisallowed, "FromPlatformFlagConstDisallowed",
     "FROM --platform flag should not use a constant value",
     "use $BUILDPLATFORM or $TARGETPLATFORM, or name the stage after the platform"},
    {LintRule::CopyIgnoredFile, "CopyIgnoredFile", "Attempting to Copy file that is excluded by .dockerignore",
     "take the file out of .dockerignore, or do not copy it"},
    {LintRule::ExposeProtoCasing, "ExposeProtoCasing", "Protocol in EXPOSE instruction should be lowercase",
     "write tcp, udp or sctp"},
    {LintRule::ExposeInvalidFormat, "ExposeInvalidFormat",
     "IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error in a future "
     "release",
     "name the container's port only; where it is published is said when it runs"},
    {LintRule::InvalidDefinitionDescription, "InvalidDefinitionDescription",
     "Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`. If this is not "
     "intended to be a description comment, add an empty line or comment between the instruction and the comment.",
     "begin the comment with the name, or put a blank line below it", Standing::Experimental},
};

const RuleText& text_of(LintRule rule) {
  return *std::find_if(std::begin(kRules), std::end(kRules), [&](const RuleText& text) { return text.rule == rule; });
}

bool is_enabled(const RuleText& text, const LintConfig& config) {
  const bool is_asked_for = config.experimental_all || config.experimental.count(text.name) > 0;
  if (text.standing == Standing::Experimental && !is_asked_for) return false;
  return !config.skip_all && config.skip.count(text.name) == 0;
}

}  // namespace

void LintReport::add(LintRule rule, std::string detail, const SourceRange& range) {
  const RuleText& text = text_of(rule);
  if (is_full() || !is_enabled(text, config_)) return;
  warnings_.push_back({text.name, text.description, text.help, std::move(detail), range});
}

std::vector<LintWarning> LintReport::take() {
  std::stable_sort(warnings_.begin(), warnings_.end(), [](const LintWarning& left, const LintWarning& right) {
    return left.range.start.line < right.range.start.line;
  });
  return std::move(warnings_);
}

}  // namespace ctr
