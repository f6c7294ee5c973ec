#include "builder/build_checks.h"

#include "base/error.h"
#include "base/text.h"
#include "builder/source_range.h"

namespace ctr {

namespace {

std::string show_warning(const LintWarning& warning, const SourceText& source) {
  std::string text = "WARNING: " + warning.rule + "\n" + warning.description + "\n";
  if (!warning.detail.empty()) text += warning.detail + "\n";
  if (!warning.help.empty()) text += warning.help + "\n";
  return text + "\n" + show_source(source, warning.range) + "\n";
}

std::string padded(std::string text, std::size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text;
}

std::string targets_text(const Dockerfile& dockerfile) {
  std::size_t width = 0;
  for (const Stage& stage : dockerfile.stages) width = std::max(width, stage.name_as_written.size());
  std::string text = padded("TARGET", width) + "    DESCRIPTION\n";
  for (std::size_t index = 0; index < dockerfile.stages.size(); ++index) {
    const Stage& stage = dockerfile.stages[index];
    const bool is_default = index + 1 == dockerfile.stages.size();
    if (stage.name.empty() && !is_default) continue;
    std::string name = stage.name.empty() ? "(default)" : stage.name_as_written + (is_default ? " (default)" : "");
    text += padded(std::move(name), width) + "    " + stage.description + "\n";
  }
  return text;
}

std::string outline_text(const Dockerfile& dockerfile, const std::map<std::string, std::string>& given) {
  std::string text = "BUILD ARG    VALUE    DESCRIPTION\n";
  std::set<std::string> seen;
  const auto add = [&](const std::vector<Instruction>& instructions) {
    for (const Instruction& instruction : instructions) {
      const auto* arg = std::get_if<ArgInstruction>(&instruction.body);
      if (arg == nullptr) continue;
      for (const auto& argument : arg->arguments) {
        if (!seen.insert(argument.name).second) continue;
        const auto value = given.find(argument.name);
        text += padded(argument.name, 9) + "    " +
                padded(value != given.end() ? value->second : argument.value.value_or(""), 5) + "    " +
                argument.description + "\n";
      }
    }
  };
  add(dockerfile.global_arguments);
  for (const Stage& stage : dockerfile.stages) add(stage.instructions);
  return text;
}

}  // namespace

BuildChecks::BuildChecks(const Dockerfile& dockerfile, const BuildRequest& request, const IgnorePatterns* ignore,
                         const Platform& platform, FindImage find_image)
    : dockerfile_(dockerfile), request_(request), ignore_(ignore), platform_(platform), find_image_(std::move(find_image)) {
  const auto argument = request.build_args.find("BUILDKIT_DOCKERFILE_CHECK");
  config_ = lint_config_of(dockerfile,
                           argument == request.build_args.end() ? std::nullopt : std::optional(argument->second));
}

std::vector<LintWarning> BuildChecks::run() {
  LintInput input;
  input.build_arguments = request_.build_args;
  const Platform& platform = platform_;
  input.platform_arguments = {{"TARGETPLATFORM", platform.str()},       {"TARGETOS", platform.os},
                              {"TARGETARCH", platform.architecture},    {"TARGETVARIANT", platform.variant},
                              {"BUILDPLATFORM", host_platform().str()}, {"BUILDOS", host_platform().os},
                              {"BUILDARCH", host_platform().architecture}};
  input.base_image = [this, &platform](const std::string& name, const std::string& wanted) -> std::optional<BaseImageFacts> {
    try {
      const BaseImage image = find_image_(name, wanted.empty() ? platform : parse_platform(wanted));
      BaseImageFacts facts;
      for (const std::string& variable : image.config.defaults.env) {
        const std::size_t equals = variable.find('=');
        facts.environment[variable.substr(0, equals)] =
            equals == std::string::npos ? std::string() : variable.substr(equals + 1);
      }
      facts.has_shell = image.config.defaults.shell.has_value();
      facts.platform = image.config.platform.str();
      return facts;
    } catch (const Error&) {
      return std::nullopt;  // the build says what is wrong with it; lint only knows less
    }
  };
  input.ignore = ignore_;
  if (!request_.target.empty()) input.target = dockerfile_.find_stage(request_.target);
  return lint_dockerfile(dockerfile_, config_, input);
}

void BuildChecks::warn(StepReporter& reporter) {
  const std::vector<LintWarning> warnings = run();
  for (const LintWarning& warning : warnings)
    reporter.warn(warning.rule + ": " + (warning.detail.empty() ? warning.description : warning.detail) + " (line " +
                  std::to_string(warning.range.start.line) + ")");
  if (!warnings.empty() && config_.warnings_are_errors)
    throw SourceError(ErrorKind::Invalid, "lint violation found for rules: " + warnings.front().rule,
                      *dockerfile_.source, warnings.front().range);
}

BuildResult BuildChecks::report() {
  BuildResult result;
  switch (request_.action) {
    case BuildAction::Targets: result.report = targets_text(dockerfile_); return result;
    case BuildAction::Outline: result.report = outline_text(dockerfile_, request_.build_args); return result;
    case BuildAction::Build:
    case BuildAction::Check: break;
  }
  const std::vector<LintWarning> warnings = run();
  if (warnings.empty()) {
    result.report = "Check complete, no warnings found.\n";
    return result;
  }
  const std::size_t count = warnings.size();
  result.report = "Check complete, " + std::to_string(count) + (count == 1 ? " warning has" : " warnings have") +
                  " been found!\n\n";
  for (const LintWarning& warning : warnings) result.report += show_warning(warning, *dockerfile_.source);
  result.exit_code = 1;
  return result;
}

}  // namespace ctr
