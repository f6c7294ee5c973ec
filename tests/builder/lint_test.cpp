#include "builder/lint.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "builder/ignore_patterns.h"

namespace ctr {
namespace {

using Strings = std::vector<std::string>;

// Each warning as "Rule:line: detail".
Strings lint(const std::string& text, const LintInput& input = {}, const std::string& config = "") {
  const Dockerfile dockerfile = parse_dockerfile("Dockerfile", text);
  Strings shown;
  for (const LintWarning& warning : lint_dockerfile(dockerfile, parse_lint_config(config), input)) {
    EXPECT_FALSE(warning.help.empty());
    EXPECT_FALSE(warning.description.empty());
    shown.push_back(warning.rule + ":" + std::to_string(warning.range.start.line) + ": " + warning.detail);
  }
  return shown;
}

TEST(Lint, SaysNothingAboutAGoodFile) {
  EXPECT_EQ(lint("ARG V=1\nFROM --platform=$BUILDPLATFORM node:$V AS build\nARG V\nENV A=$V\nWORKDIR /app\nCOPY . .\n"
                 "RUN make\nEXPOSE 80/tcp\nCMD [\"node\"]\n"),
            Strings{});
}

TEST(Lint, ChecksStageNamesAndKeywords) {
  EXPECT_EQ(lint("FROM a AS Base\nFROM b as x\nFROM c AS x\nFROM d AS scratch\n"),
            (Strings{"StageNameCasing:1: Stage name 'Base' should be lowercase",
                     "FromAsCasing:2: 'as' and 'FROM' keywords' casing do not match",
                     "DuplicateStageName:3: Duplicate stage name \"x\", stage names should be unique",
                     "ReservedStageName:4: Stage name should not use the same name as reserved stage \"scratch\""}));
  EXPECT_EQ(
      lint("FROM a\nrun x\nCmd [\"y\"]\nRUN z\n"),
      (Strings{
          "ConsistentInstructionCasing:2: Command 'run' should match the case of the command majority (uppercase)",
          "ConsistentInstructionCasing:3: Command 'Cmd' should match the case of the command majority (uppercase)"}));
}

TEST(Lint, ChecksTheFormOfInstructions) {
  EXPECT_EQ(
      lint("FROM scratch\nMAINTAINER me\nENV A b\nLABEL c d\nCMD x\nENTRYPOINT y\nRUN a && \\\n\n b\n"),
      (Strings{
          "MaintainerDeprecated:2: Maintainer instruction is deprecated in favor of using label",
          "LegacyKeyValueFormat:3: \"ENV key=value\" should be used instead of legacy \"ENV key value\" format",
          "LegacyKeyValueFormat:4: \"LABEL key=value\" should be used instead of legacy \"LABEL key value\" format",
          "JSONArgsRecommended:5: JSON arguments recommended for CMD to prevent unintended behavior related to OS "
          "signals",
          "JSONArgsRecommended:6: JSON arguments recommended for ENTRYPOINT to prevent unintended behavior related to "
          "OS signals",
          "NoEmptyContinuation:7: Empty continuation line"}));
  EXPECT_EQ(lint("FROM scratch\nSHELL [\"/bin/bash\", \"-c\"]\nCMD x\n"), Strings{});
  EXPECT_EQ(lint("FROM a\nCMD [\"x\"]\nHEALTHCHECK NONE\nCMD [\"y\"]\nHEALTHCHECK CMD z\n"),
            (Strings{"MultipleInstructionsDisallowed:2: Multiple CMD instructions should not be used in the same stage "
                     "because only the last one will be used",
                     "MultipleInstructionsDisallowed:3: Multiple HEALTHCHECK instructions should not be used in the "
                     "same stage because only the last one will be used"}));
}

TEST(Lint, FindsSecretNames) {
  EXPECT_EQ(
      lint("ARG GITHUB_TOKEN\nFROM a\nENV public_key=1 KEYBOARD=2 API_KEY=3\nARG PASSWORD_FILE=x\n"),
      (Strings{"SecretsUsedInArgOrEnv:1: Do not use ARG or ENV instructions for sensitive data (ARG \"GITHUB_TOKEN\")",
               "SecretsUsedInArgOrEnv:3: Do not use ARG or ENV instructions for sensitive data (ENV \"API_KEY\")"}));
}

TEST(Lint, ChecksVariablesInFrom) {
  EXPECT_EQ(
      lint("ARG VERSION=1\nARG EMPTY\nFROM a:$VERSOIN\nFROM b${EMPTY:-x}\nFROM $EMPTY\n"),
      (Strings{
          "UndefinedArgInFrom:3: FROM argument 'VERSOIN' is not declared (did you mean VERSION?)",
          "InvalidDefaultArgInFrom:3: Default value for ARG a:$VERSOIN results in empty or invalid base image name",
          "InvalidDefaultArgInFrom:5: Default value for ARG $EMPTY results in empty or invalid base image name"}));
  EXPECT_EQ(
      lint("FROM --platform=${TARGETPLATFORM} a\nFROM --platform=linux/arm64 b\nFROM --platform=linux/arm64 c AS "
           "x-arm64\n"),
      (Strings{
          "RedundantTargetPlatform:1: Setting platform to predefined ${TARGETPLATFORM} in FROM is redundant as this is "
          "the default behavior",
          "FromPlatformFlagConstDisallowed:2: FROM --platform flag should not use constant value \"linux/arm64\""}));
}

TEST(Lint, FollowsVariablesThroughStages) {
  const std::string text =
      "FROM scratch AS base\nARG DECLARED\nENV ONE=1\nFROM base\nCOPY $DECLARED $ONE $OEN /x\nENV A=$A ${B:-x}=2\nENV "
      "C=$PATH\n";
  EXPECT_EQ(lint(text), (Strings{"UndefinedVar:5: Usage of undefined variable '$OEN' (did you mean $ONE?)",
                                 "UndefinedVar:6: Usage of undefined variable '$A'",
                                 "UndefinedVar:6: Usage of undefined variable '$B'"}));
}

TEST(Lint, AsksForTheBaseImageAndKeepsQuietWithoutIt) {
  const std::string text = "FROM node\nENV A=$NODE_VERSION B=$NODE_VERSIN\nCMD x\n";
  EXPECT_EQ(lint(text, {}, "skip=JSONArgsRecommended"), Strings{});
  LintInput input;
  input.platform_arguments = {{"TARGETPLATFORM", "linux/arm64"}};
  input.base_image = [](const std::string& image, const std::string& platform) {
    EXPECT_EQ(image, "node");
    EXPECT_EQ(platform, "linux/arm64");
    return BaseImageFacts{{{"NODE_VERSION", "21"}}, "linux/amd64", true};
  };
  EXPECT_EQ(lint(text, input),
            (Strings{"InvalidBaseImagePlatform:1: Base image node was pulled with platform \"linux/amd64\", expected "
                     "\"linux/arm64\" for current build",
                     "UndefinedVar:2: Usage of undefined variable '$NODE_VERSIN' (did you mean $NODE_VERSION?)"}));
}

TEST(Lint, ChecksWorkdirAndExpose) {
  EXPECT_EQ(
      lint("FROM scratch\nWORKDIR app\nWORKDIR sub\nEXPOSE 80/TCP 127.0.0.1:81:81\n"),
      (Strings{"WorkdirRelativePath:2: Relative workdir \"app\" can have unexpected results if the base image changes",
               "ExposeInvalidFormat:4: EXPOSE instruction should not define an IP address or host-port mapping, found "
               "'127.0.0.1:81:81'",
               "ExposeProtoCasing:4: Defined protocol '80/TCP' in EXPOSE instruction should be lowercase"}));
}

TEST(Lint, FindsCopiesOfIgnoredFiles) {
  const IgnorePatterns ignore({"*.tmp", "secret"});
  LintInput input;
  input.ignore = &ignore;
  EXPECT_EQ(
      lint("FROM scratch\nCOPY a.tmp ./secret/x b /y/\nCOPY --from=c a.tmp /\nADD https://h/a.tmp c.tmp /\n", input),
      (Strings{"CopyIgnoredFile:2: Attempting to Copy file \"a.tmp\" that is excluded by .dockerignore",
               "CopyIgnoredFile:2: Attempting to Copy file \"secret/x\" that is excluded by .dockerignore",
               "CopyIgnoredFile:4: Attempting to Add file \"c.tmp\" that is excluded by .dockerignore"}));
}

TEST(Lint, LooksAtNeededStagesOnlyWhereVariablesCount) {
  const std::string text =
      "FROM scratch AS a\nENV X=$NO\nFROM scratch AS b\nENV Y=$NOPE\nFROM scratch\nCOPY --from=b / /\n";
  EXPECT_EQ(lint(text), Strings{"UndefinedVar:4: Usage of undefined variable '$NOPE'"});
  LintInput input;
  input.target = 0;
  EXPECT_EQ(lint(text, input), Strings{"UndefinedVar:2: Usage of undefined variable '$NO'"});
}

TEST(Lint, ChecksDescriptionsOnlyWhenAskedFor) {
  const std::string text = "# foo is fine\nARG foo=1\n# wrong\nARG bar=2\n# base image\nFROM a AS build\n";
  EXPECT_EQ(lint(text), Strings{});
  EXPECT_EQ(
      lint(text, {}, "experimental=InvalidDefinitionDescription"),
      (Strings{"InvalidDefinitionDescription:4: Comment for ARG should follow the format: `# bar <description>`",
               "InvalidDefinitionDescription:6: Comment for FROM should follow the format: `# build <description>`"}));
}

TEST(Lint, ReadsItsDirective) {
  const LintConfig config = parse_lint_config("skip=A, B;error=true;experimental=all");
  EXPECT_EQ(config.skip, (std::set<std::string>{"A", "B"}));
  EXPECT_TRUE(config.warnings_are_errors);
  EXPECT_TRUE(config.experimental_all);
  EXPECT_TRUE(parse_lint_config("skip=all").skip_all);
  EXPECT_EQ(lint("FROM a\nCMD x\n", {}, "skip=all"), Strings{});
  for (const char* bad : {"skip", "error=perhaps", "what=1"}) EXPECT_THROW(parse_lint_config(bad), Error) << bad;
  const Dockerfile dockerfile = parse_dockerfile("D", "# check=error=true\nFROM a\n");
  EXPECT_TRUE(lint_config_of(dockerfile, std::nullopt).warnings_are_errors);
  EXPECT_FALSE(lint_config_of(dockerfile, "skip=A").warnings_are_errors);
  EXPECT_THROW(lint_config_of(parse_dockerfile("D", "# check=x\nFROM a\n"), std::nullopt), SourceError);
}

}  // namespace
}  // namespace ctr
