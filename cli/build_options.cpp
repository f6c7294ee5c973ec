#include "cli/build_options.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/text.h"
#include "cli/client_config.h"

namespace ctr {

namespace {

/// Known to others, not to us: refused by name rather than as a typing error.
struct RefusedFlag {
  const char* name;
  char shorthand;
  const char* why;
};
constexpr RefusedFlag kRefusedFlags[] = {
    {"volume", 'v', "not supported yet: use RUN --mount"},
    {"device", 0, "not supported yet"},
    {"cpu-period", 0, "not supported: use --cpus"},
    {"cpu-quota", 0, "not supported: use --cpus"},
    {"cpu-shares", 'c', "not supported: use --cpus"},
    {"cpuset-cpus", 0, "not supported: use --cpus"},
    {"cpuset-mems", 0, "not supported"},
    {"memory-swap", 0, "not supported: steps may use as much swap as memory"},
    {"resource", 0, "not supported: use --memory and --cpus"},
    {"isolation", 0, "not supported: steps run in containers"},
    {"security-opt", 0, "not supported"},
    {"policy", 0, "not supported"},
};

}  // namespace

void define_limit_flags(FlagTable& flags) {
  flags.text("cpus", 0, "decimal", "CPUs that the steps of the build may use together");
  flags.integer("jobs", 0, "int", "How many steps may run at the same time (0: one for each processor, at least 4)");
  flags.text("memory", 'm', "bytes", "Memory that the steps of the build may use together");
}

void define_build_flags(FlagTable& flags) {
  flags.list("add-host", 0, "strings", "Add a custom host-to-IP mapping (format: \"host:ip\")");
  flags.list("allow", 0, "stringArray", "Allow extra privileged entitlement (e.g., \"network.host\")");
  flags.list("annotation", 0, "stringArray", "Add annotation to the image");
  flags.list("attest", 0, "stringArray", "Attestation parameters (format: \"type=provenance,...\")");
  flags.list("build-arg", 0, "stringArray", "Set build-time variables");
  flags.list("build-context", 0, "stringArray", "Additional build contexts (e.g., name=path)");
  flags.text("builder", 0, "string", "Override the configured builder instance");
  flags.list("cache-from", 0, "stringArray", "External cache sources (e.g., \"user/app:cache\", \"type=local,src=path/to/dir\")");
  flags.list("cache-to", 0, "stringArray", "Cache export destinations (e.g., \"type=registry,ref=user/app:cache\")");
  flags.text("call", 0, "string", "Set method for evaluating build (\"check\", \"outline\", \"targets\")", "build");
  flags.text("cgroup-parent", 0, "string", "Set the parent cgroup for the RUN instructions during build");
  flags.toggle("check", 0, "Shorthand for \"--call=check\"");
  define_limit_flags(flags);
  flags.toggle("explain", 0, "Say for each step why it was or was not in the cache");
  flags.text("file", 'f', "string", "Name of the Dockerfile (default: \"PATH/Dockerfile\")");
  flags.text("iidfile", 0, "string", "Write the image ID to a file");
  flags.list("label", 0, "stringArray", "Set metadata for an image");
  flags.toggle("load", 0, "Shorthand for \"--output=type=docker\": images are always in the store");
  flags.text("metadata-file", 0, "string", "Write build result metadata to a file");
  flags.text("network", 0, "string", "Set the networking mode for the \"RUN\" instructions during build", "default");
  flags.toggle("no-cache", 0, "Do not use cache when building the image");
  flags.list("no-cache-filter", 0, "stringArray", "Do not cache specified stages");
  flags.text("on-failure", 0, "string", "\"shell\" opens a shell in the step that failed");
  flags.list("output", 'o', "stringArray", "Output destination (format: \"type=local,dest=path\")");
  flags.list("platform", 0, "stringArray", "Set target platform for build");
  flags.text("progress", 0, "string", "Set type of progress output (\"auto\", \"plain\", \"tty\", \"quiet\", \"none\")", "auto");
  flags.optional_text("provenance", 0, "string", "Shorthand for \"--attest=type=provenance\"", "true");
  flags.toggle("pull", 0, "Always attempt to pull all referenced images");
  flags.toggle("push", 0, "Shorthand for \"--output=type=registry\"");
  flags.toggle("quiet", 'q', "Suppress the build output and print image ID on success");
  flags.optional_text("sbom", 0, "string", "Shorthand for \"--attest=type=sbom\"", "true");
  flags.list("secret", 0, "stringArray", "Secret to expose to the build (format: \"id=mysecret[,src=/local/secret]\")");
  flags.text("shm-size", 0, "bytes", "Shared memory size for build containers");
  flags.list("ssh", 0, "stringArray", "SSH agent socket or keys to expose to the build");
  flags.list("tag", 't', "stringArray", "Name and optionally a tag (format: \"name:tag\")");
  flags.text("target", 0, "string", "Set the target build stage to build");
  flags.list("ulimit", 0, "ulimit", "Ulimit options");
  flags.toggle("rm", 0, "Accepted for the classic builder's sake: steps leave no containers", true);
  flags.toggle("force-rm", 0, "Accepted for the classic builder's sake: steps leave no containers");
  flags.toggle("compress", 0, "Accepted for the classic builder's sake: the context is read in place");
  flags.toggle("disable-content-trust", 0, "Skip image verification: ctr verifies digests, not signatures", true);
  flags.toggle("squash", 0, "Refused: not supported yet");
  for (const RefusedFlag& refused : kRefusedFlags) {
    flags.list(refused.name, refused.shorthand, "value", std::string("Refused: ") + refused.why);
    flags.hide_last();
  }
}

namespace {

[[noreturn]] void refuse(std::string_view flag, const std::string& value, const std::string& why) {
  throw UsageError("invalid argument \"" + value + "\" for \"--" + std::string(flag) + "\" flag: " + why);
}

/// key=value; a key alone takes its value from our environment, and is left out when that has none.
std::map<std::string, std::string> build_arguments(const std::vector<std::string>& texts) {
  std::map<std::string, std::string> arguments;
  for (const std::string& text : texts) {
    const auto pair = cut(text, '=');
    const std::string name = pair ? pair->first : text;
    if (name.empty()) refuse("build-arg", text, "a build argument needs a name");
    if (pair) {
      arguments[name] = pair->second;
    } else if (const char* value = std::getenv(name.c_str())) {
      arguments[name] = value;
    }
  }
  return arguments;
}

std::map<std::string, std::string> labels(const std::vector<std::string>& texts) {
  std::map<std::string, std::string> result;
  for (const std::string& text : texts) {
    const auto pair = cut(text, '=');
    const std::string& key = pair ? pair->first : text;
    if (key.empty()) refuse("label", text, "a label needs a name");
    result[key] = pair ? pair->second : "";
  }
  return result;
}

std::vector<std::string> comma_separated(const std::vector<std::string>& texts) {
  std::vector<std::string> values;
  for (const std::string& text : texts) {
    for (const std::string& value : split(text, ',')) {
      if (const std::string_view word = trim(value); !word.empty()) values.emplace_back(word);
    }
  }
  return values;
}

BuildAction action_of(const ParsedFlags& flags) {
  const std::string call = flags.on("check") ? "check" : flags.text("call");
  if (call == "build") return BuildAction::Build;
  if (call == "check" || call == "lint") return BuildAction::Check;
  if (call == "outline") return BuildAction::Outline;
  if (call == "targets") return BuildAction::Targets;
  refuse("call", call, "must be build, check, outline or targets");
}

void fill_outputs(const ParsedFlags& flags, BuildRequest& request) {
  for (const std::string& text : flags.list("output")) request.outputs.push_back(parse_output_spec(text));
  if (flags.on("load") && !request.outputs.empty()) request.outputs.push_back(parse_output_spec("type=docker"));
  if (flags.on("push")) {
    const auto is_image = [](const OutputSpec& output) {
      return output.type == OutputSpec::Type::Image || output.type == OutputSpec::Type::Registry;
    };
    const auto image = std::find_if(request.outputs.begin(), request.outputs.end(), is_image);
    if (image != request.outputs.end()) {
      image->push = true;
    } else {
      request.outputs.push_back(parse_output_spec("type=registry"));
    }
  }
}

}  // namespace

std::string provenance_option(const ParsedFlags& flags) {
  std::string provenance = flags.text("provenance");
  const std::vector<std::string>& asked = flags.list("attest");
  for (const std::string& text : asked) {
    const auto fields = split(text, ',');
    const bool is_off = std::find(fields.begin(), fields.end(), "disabled=true") != fields.end();
    if (fields.front() == "type=provenance") {
      provenance = is_off ? "false" : text == "type=provenance" ? "true" : text.substr(std::string("type=provenance,").size());
    } else if (fields.front() == "type=sbom") {
      if (!is_off) throw UsageError("--attest type=sbom is not supported yet");
    } else {
      refuse("attest", text, "type must be provenance or sbom");
    }
  }
  const std::string& sbom = flags.text("sbom");
  if (!sbom.empty() && parse_bool(sbom) != false) throw UsageError("--sbom is not supported yet");
  return parse_bool(provenance) == false ? "" : provenance;
}

BuildLimits build_limits(const ParsedFlags& flags) {
  BuildLimits limits;
  if (flags.integer("jobs") < 0 || flags.integer("jobs") > 1024) refuse("jobs", flags.text("jobs"), "not a number from 0 to 1024");
  limits.jobs = static_cast<int>(flags.integer("jobs"));
  if (const auto text = flags.find_text("memory")) {
    const auto size = parse_size(*text);
    if (!size) refuse("memory", *text, "not a size such as 512m");
    limits.memory_bytes = static_cast<std::uint64_t>(*size);
  }
  if (const auto text = flags.find_text("cpus")) {
    const auto cpus = parse_double(*text);
    if (!cpus || *cpus < 0) refuse("cpus", *text, "not a number of CPUs such as 1.5");
    limits.cpus = *cpus;
  }
  return limits;
}

FailureAction failure_action(const ParsedFlags& flags) {
  const auto text = flags.find_text("on-failure");
  if (!text) return FailureAction::Report;
  if (*text != "shell") refuse("on-failure", *text, "must be shell");
  return FailureAction::Shell;
}

std::string progress_mode(const ParsedFlags& flags) {
  if (flags.given("quiet") && flags.on("quiet")) return "quiet";
  if (flags.given("progress")) return flags.text("progress");
  const char* configured = std::getenv("BUILDKIT_PROGRESS");
  return configured != nullptr && *configured != '\0' ? configured : "auto";
}

BuildRequest build_request(const ParsedFlags& flags) {
  if (flags.on("squash")) throw UsageError("--squash is not supported yet");
  for (const RefusedFlag& refused : kRefusedFlags)
    if (flags.given(refused.name)) throw UsageError(std::string("--") + refused.name + " is " + refused.why);
  BuildRequest request;
  request.context = flags.arguments().front();
  request.dockerfile = flags.text("file");
  request.standard_input = STDIN_FILENO;
  request.tags = flags.list("tag");
  request.target = flags.text("target");
  request.build_args = build_arguments(flags.list("build-arg"));
  for (const auto& [name, value] : client_config_proxies()) request.build_args.emplace(name, value);
  request.platforms = comma_separated(flags.list("platform"));
  if (const char* configured = std::getenv("DOCKER_DEFAULT_PLATFORM"); request.platforms.empty() && configured != nullptr && *configured != '\0') {
    request.platforms = {configured};
  }
  request.labels = labels(flags.list("label"));
  request.annotations = flags.list("annotation");
  for (const std::string& text : flags.list("build-context")) request.named_contexts.insert(parse_named_context(text));
  for (const std::string& text : flags.list("secret")) request.secrets.push_back(parse_secret_spec(text));
  for (const std::string& text : flags.list("ssh")) request.ssh.push_back(parse_ssh_spec(text));
  fill_outputs(flags, request);
  for (const std::string& text : flags.list("cache-from")) request.cache_from.push_back(parse_cache_from_spec(text));
  for (const std::string& text : flags.list("cache-to")) request.cache_to.push_back(parse_cache_to_spec(text));
  request.no_cache_stages = comma_separated(flags.list("no-cache-filter"));
  request.entitlements = comma_separated(flags.list("allow"));
  for (const std::string& entitlement : request.entitlements)
    if (entitlement == "security.insecure" || entitlement == "device" || entitlement.starts_with("device="))
      throw UsageError("--allow " + entitlement + " is not supported yet");
  request.add_hosts = flags.list("add-host");
  request.ulimits = flags.list("ulimit");
  request.network = flags.text("network");
  request.cgroup_parent = flags.text("cgroup-parent");
  request.provenance = provenance_option(flags);
  if (const char* epoch = std::getenv("SOURCE_DATE_EPOCH")) request.source_date_epoch = epoch;
  if (const auto text = flags.find_text("shm-size")) {
    const auto size = parse_size(*text);
    if (!size) refuse("shm-size", *text, "not a size such as 64m");
    request.shm_size_bytes = static_cast<std::uint64_t>(*size);
  }
  if (flags.on("no-cache")) request.cache = CacheUse::Ignore;
  if (flags.on("pull")) request.base_policy = BasePolicy::Pull;
  request.action = action_of(flags);
  request.on_failure = failure_action(flags);
  if (flags.on("explain")) request.explanations = Explanations::On;
  request.limits = build_limits(flags);
  return request;
}

bool reads_standard_input(const BuildRequest& request) { return request.context == "-" || request.dockerfile == "-"; }

}  // namespace ctr
