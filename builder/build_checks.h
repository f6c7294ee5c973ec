// The Dockerfile checks of a build: run on what the parser made, told as warnings, or as the report of `build --check`.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "builder/build.h"
#include "builder/dockerfile_parser.h"
#include "builder/lint.h"
#include "builder/lower.h"
#include "builder/step_reporter.h"

namespace ctr {

class BuildChecks {
 public:
  using FindImage = std::function<BaseImage(const std::string& name, const Platform& platform)>;

  BuildChecks(const Dockerfile& dockerfile, const BuildRequest& request, const IgnorePatterns* ignore,
              const Platform& platform, FindImage find_image);

  /// Warns of what was found. Throws BuildFailure if `check=error=true` makes warnings errors.
  void warn(StepReporter& reporter);

  /// The report of Check, Outline or Targets.
  BuildResult report();

 private:
  std::vector<LintWarning> run();

  const Dockerfile& dockerfile_;
  const BuildRequest& request_;
  const IgnorePatterns* ignore_;
  Platform platform_;
  FindImage find_image_;
  LintConfig config_;
};

}  // namespace ctr
