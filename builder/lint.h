// The build checks of `build --check` and of every build: 22 rules on a parsed Dockerfile. Lint never stops a build by
// itself and never changes it; `# check=error=true` is the caller's to honour. Rules that need a base image's config or
// the ignore file are given them as values and skip what they don't know.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "builder/dockerfile_parser.h"

namespace ctr {

class IgnorePatterns;

/// `# check=skip=A,B|all;error=true;experimental=…` and BUILDKIT_DOCKERFILE_CHECK.
struct LintConfig {
  std::set<std::string> skip;
  bool skip_all = false;
  bool warnings_are_errors = false;
  std::set<std::string> experimental;
  bool experimental_all = false;
};
LintConfig parse_lint_config(std::string_view text);

struct LintWarning {
  std::string rule;         ///< "StageNameCasing"
  std::string description;  ///< what the rule is about
  std::string help;         ///< what to do
  std::string detail;       ///< this case: "Stage name 'Base' should be lowercase"
  SourceRange range;
};

/// What lint wants to know of a base image.
struct BaseImageFacts {
  std::map<std::string, std::string> environment;
  std::string platform;    ///< "linux/amd64"
  bool has_shell = false;  ///< its config has a Shell
};

struct LintInput {
  std::map<std::string, std::string> build_arguments;
  /// Values of TARGETPLATFORM and its kin; empty: only their names are known.
  std::map<std::string, std::string> platform_arguments;
  /// Facts of an external base image (expanded name, expanded platform); nullopt or unset: unknown.
  std::function<std::optional<BaseImageFacts>(const std::string& image, const std::string& platform)> base_image;
  const IgnorePatterns* ignore = nullptr;
  /// The stage that is built (index); lint looks at it and at the stages it needs. nullopt: the last.
  std::optional<std::size_t> target;
};

/// The warnings in the order of the file. `config` is the directive's, with BUILDKIT_DOCKERFILE_CHECK over it.
std::vector<LintWarning> lint_dockerfile(const Dockerfile& dockerfile, const LintConfig& config,
                                         const LintInput& input);

/// The directive's config, overridden by the build argument BUILDKIT_DOCKERFILE_CHECK if there is one.
LintConfig lint_config_of(const Dockerfile& dockerfile, const std::optional<std::string>& build_argument);

}  // namespace ctr
