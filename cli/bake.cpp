// ctr buildx bake: bake files become builds. What the files mean is builder/bake.h's, the building engine/bakes.h's.
#include <unistd.h>

#include <cstdlib>

#include "base/file.h"
#include "base/text.h"
#include "builder/csv.h"
#include "cli/build_options.h"
#include "cli/build_view.h"
#include "cli/buildx_commands.h"
#include "cli/output.h"
#include "engine/bakes.h"
#include "engine/builds.h"

namespace ctr {

namespace {

void define_flags(FlagTable& flags) {
  flags.list("allow", 0, "stringArray", "Allow build to access specified resources (\"network.host\"; files may always be read)");
  flags.text("builder", 0, "string", "Override the configured builder instance");
  flags.text("call", 0, "string", "Set method for evaluating build (\"check\", \"outline\", \"targets\")", "build");
  flags.toggle("check", 0, "Shorthand for \"--call=check\"");
  define_limit_flags(flags);
  flags.toggle("explain", 0, "Say for each step why it was or was not in the cache");
  flags.list("file", 'f', "stringArray", "Build definition file");
  flags.text("list", 0, "string", "List targets or variables");
  flags.toggle("load", 0, "Shorthand for \"--set=*.output=type=docker\": images are always in the store");
  flags.text("metadata-file", 0, "string", "Write build result metadata to a file");
  flags.toggle("no-cache", 0, "Do not use cache when building the image");
  flags.text("on-failure", 0, "string", "\"shell\" opens a shell in the step that failed");
  flags.toggle("print", 0, "Print the options without building");
  flags.text("progress", 0, "string", "Set type of progress output (\"auto\", \"plain\", \"tty\", \"quiet\", \"none\")", "auto");
  flags.optional_text("provenance", 0, "string", "Shorthand for \"--set=*.attest=type=provenance\"", "true");
  flags.toggle("pull", 0, "Always attempt to pull all referenced images");
  flags.toggle("push", 0, "Shorthand for \"--set=*.output=type=registry\"");
  flags.optional_text("sbom", 0, "string", "Shorthand for \"--set=*.attest=type=sbom\"", "true");
  flags.list("set", 0, "stringArray", "Override target value (e.g., \"targetpattern.key=value\")");
  flags.list("var", 0, "stringArray", "Set a variable value (e.g., \"name=value\")");
}

std::vector<std::string> file_names(const ParsedFlags& flags) {
  if (flags.given("file")) return flags.list("file");
  const char* configured = std::getenv("BUILDX_BAKE_FILE");
  if (configured == nullptr || *configured == '\0') return {};
  const char* separator = std::getenv("BUILDX_BAKE_FILE_SEPARATOR");
  const char mark = separator != nullptr && *separator != '\0' ? *separator : ':';
  return split(configured, mark);
}

/// --provenance and --sbom as the value of `attest`.
std::string attest_text(const std::string& type, const std::string& value) {
  const auto is_on = parse_bool(value);
  if (is_on) return "type=" + type + (*is_on ? "" : ",disabled=true");
  return "type=" + type + "," + value;
}

/// What flags say about all targets comes first: --set may say otherwise about one.
std::vector<std::string> sets_of(const ParsedFlags& flags) {
  std::vector<std::string> sets;
  for (const char* name : {"no-cache", "pull", "push", "load"})
    if (flags.given(name)) sets.push_back("*." + std::string(name) + "=" + (flags.on(name) ? "true" : "false"));
  for (const char* name : {"provenance", "sbom"})
    if (const auto value = flags.find_text(name)) sets.push_back("*.attest=" + attest_text(name, *value));
  if (flags.on("check")) {
    sets.emplace_back("*.call=check");
  } else if (flags.given("call")) {
    sets.push_back("*.call=" + flags.text("call"));
  }
  sets.insert(sets.end(), flags.list("set").begin(), flags.list("set").end());
  return sets;
}

BakeOptions options_of(const ParsedFlags& flags) {
  BakeOptions options;
  options.targets = flags.arguments();
  for (const std::string& target : options.targets)
    if (target.find("://") != std::string::npos || target.starts_with("git@"))
      throw UsageError("a remote bake definition (" + target + ") is not supported: clone it and run bake there");
  options.sets = sets_of(flags);
  for (const std::string& text : flags.list("var")) {
    const auto pair = cut(text, '=');
    if (!pair || pair->first.empty()) throw UsageError("invalid argument \"" + text + "\" for \"--var\" flag: expected name=value");
    options.variables[pair->first] = pair->second;
  }
  options.environment = [](std::string_view name) -> std::optional<std::string> {
    const char* value = std::getenv(std::string(name).c_str());
    if (value == nullptr) return std::nullopt;
    return value;
  };
  options.dot_env = dot_env();
  return options;
}

BakeList list_option(const std::string& text) {
  std::string what;
  for (const CsvField& field : parse_csv_fields(text)) {
    if (!field.value) {
      what = field.key;
    } else if (field.key == "type") {
      what = *field.value;
    } else if (field.key == "format") {
      if (*field.value != "table") throw UsageError("--list format=" + *field.value + " is not supported: table only");
    } else {
      throw UsageError("invalid argument \"" + text + "\" for \"--list\" flag: unexpected key " + field.key);
    }
  }
  if (what == "targets") return BakeList::Targets;
  if (what == "variables") return BakeList::Variables;
  throw UsageError("invalid argument \"" + text + "\" for \"--list\" flag: must be targets or variables");
}

BakeSettings settings_of(const ParsedFlags& flags) {
  BakeSettings settings;
  settings.builder = flags.text("builder");
  for (const std::string& text : flags.list("allow"))
    for (const std::string& entitlement : split(text, ',')) settings.entitlements.push_back(entitlement);
  const BuildLimits limits = build_limits(flags);
  const FailureAction on_failure = failure_action(flags);
  const Explanations explanations = flags.on("explain") ? Explanations::On : Explanations::Off;
  std::string epoch;
  if (const char* configured = std::getenv("SOURCE_DATE_EPOCH")) epoch = configured;
  settings.adjust = [=](BuildRequest& request) {
    request.limits = limits;
    request.on_failure = on_failure;
    request.explanations = explanations;
    request.source_date_epoch = epoch;
  };
  return settings;
}

void write_metadata(const std::string& file, const std::vector<BakedTarget>& targets) {
  Json all = Json::object();
  for (const BakedTarget& target : targets) all[target.name] = Json::parse(target.result.metadata_json);
  write_file_atomic(file, all.dump_pretty() + "\n", Durability::Cached);
}

int bake_command(Invocation& invocation) {
  protect_from_builds();
  const ParsedFlags& flags = invocation.flags();
  const BakeOptions options = options_of(flags);
  const std::vector<BakeFile> files = read_bake_files(file_names(flags));
  if (const auto what = flags.find_text("list")) {
    write_standard_out(list_bake(files, options, list_option(*what)));
    return 0;
  }
  const BakePlan plan = plan_bake(files, options);
  if (flags.on("print")) {
    write_standard_out(print_bake(plan));
    return 0;
  }
  const BakeSettings settings = settings_of(flags);
  std::vector<BakedTarget> targets;
  try {
    Context& context = invocation.context();  // an ordinary user joins namespaces here, while there is one thread
    const std::unique_ptr<BuildProgress> view = make_build_view(progress_mode(flags), STDERR_FILENO);
    if (flags.on("load")) view->warned(kLoadNotice);
    targets = bake(context, plan, settings, *view);
  } catch (const BuildFailure& failure) {
    write_standard_error(render_failure(failure));
    return 1;
  }
  if (const std::string& file = flags.text("metadata-file"); !file.empty()) write_metadata(file, targets);
  int status = 0;
  for (const BakedTarget& target : targets) {
    if (!target.result.report.empty()) write_standard_out(target.result.report);
    status = std::max(status, target.result.exit_code);
  }
  return status;
}

}  // namespace

std::vector<CommandSpec> bake_command_specs() {
  return {{.words = "buildx bake",
           .arguments = "[OPTIONS] [TARGET...]",
           .summary = "Build from a file",
           .define_flags = define_flags,
           .run = bake_command,
           .aliases = {"buildx f", "builder bake"}}};
}

}  // namespace ctr
