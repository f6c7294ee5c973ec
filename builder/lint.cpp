#include "builder/lint.h"

#include <utility>

#include "base/text.h"
#include "builder/lint_rules.h"

namespace ctr {

namespace {

void apply_names(const std::string& value, std::set<std::string>& names, bool& all) {
  if (value == "all") {
    all = true;
    return;
  }
  for (const std::string& name : split(value, ',')) names.emplace(trim(name));
}

}  // namespace

LintConfig parse_lint_config(std::string_view text) {
  LintConfig config;
  for (const std::string& part : split(text, ';')) {
    if (trim(part).empty()) continue;
    const std::size_t equals = part.find('=');
    const std::string key(trim(std::string_view(part).substr(0, equals)));
    const std::string value =
        equals == std::string::npos ? "" : std::string(trim(std::string_view(part).substr(equals + 1)));
    if (key == "skip" && !value.empty()) {
      apply_names(value, config.skip, config.skip_all);
    } else if (key == "experimental" && !value.empty()) {
      apply_names(value, config.experimental, config.experimental_all);
    } else if (const std::optional<bool> flag = parse_bool(value); key == "error" && flag) {
      config.warnings_are_errors = *flag;
    } else {
      throw Error(ErrorKind::Invalid, "invalid check option \"" + std::string(trim(part)) +
                                          "\": expected skip=RULE,…|all, error=true|false or experimental=RULE,…|all");
    }
  }
  return config;
}

LintConfig lint_config_of(const Dockerfile& dockerfile, const std::optional<std::string>& build_argument) {
  if (build_argument)
    return in_context("BUILDKIT_DOCKERFILE_CHECK", [&] { return parse_lint_config(*build_argument); });
  const std::optional<DirectiveValue>& directive = dockerfile.directives.check;
  if (!directive) return {};
  try {
    return parse_lint_config(directive->value);
  } catch (const Error& error) {
    throw_parse_error(error.what(), *dockerfile.source, directive->range);
  }
}

std::vector<LintWarning> lint_dockerfile(const Dockerfile& dockerfile, const LintConfig& config,
                                         const LintInput& input) {
  LintReport report(config);
  if (config.skip_all) return {};
  lint_text(dockerfile, report);
  lint_stages(dockerfile, input, report);
  return report.take();
}

}  // namespace ctr
