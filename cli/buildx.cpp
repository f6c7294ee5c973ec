// ctr buildx: builders as named configurations. The builds themselves are build.cpp's.
#include "base/text.h"
#include "cli/commands.h"
#include "cli/confirmation.h"
#include "cli/definition_list.h"
#include "cli/each_argument.h"
#include "cli/listing.h"
#include "cli/output.h"
#include "engine/builders.h"
#include "engine/cache_prune.h"
#include "engine/images.h"
#include "image/platform.h"

namespace ctr {

namespace {

void define_create_flags(FlagTable& flags) {
  flags.toggle("append", 0, "Append to an existing builder instead of failing");
  flags.toggle("bootstrap", 0, "Accepted for buildx's sake: there is nothing to start");
  flags.text("buildkitd-config", 0, "string", "Refused: there is no buildkitd");
  flags.text("config", 0, "string", "Refused: there is no buildkitd");
  flags.hide_last();
  flags.text("buildkitd-flags", 0, "string", "Only --allow-insecure-entitlement: there is no buildkitd");
  flags.text("driver", 0, "string", "docker, docker-container or ctr: all mean this machine");
  flags.list("driver-opt", 0, "stringArray", "Limits of the builder's builds: memory=1g, cpus=2, jobs=4, cache-size=20GB|10%");
  flags.toggle("leave", 0, "Refused: a builder has one node");
  flags.text("name", 0, "string", "Builder name");
  flags.text("node", 0, "string", "Create/modify node with given name: a builder has one node");
  flags.list("platform", 0, "stringArray", "Platforms that this builder may build");
  flags.toggle("use", 0, "Set the current builder");
}

/// What a build is allowed is asked of each build here (--allow): a builder that would allow it loses nothing.
void check_daemon_flags(const std::string& text) {
  const std::vector<std::string> words = split_words(replace_all(text, "=", " "));
  for (std::size_t i = 0; i < words.size(); ++i) {
    const bool is_known = words[i] == "--allow-insecure-entitlement" && i + 1 < words.size();
    if (!is_known) throw UsageError("--buildkitd-flags " + words[i] + " is not supported: there is no buildkitd");
    ++i;
  }
}

[[noreturn]] void refuse_driver_option(const std::string& text, const std::string& why) {
  throw UsageError("--driver-opt " + text + ": " + why);
}

void set_driver_option(BuilderRecord& builder, const std::string& key, const std::string& value, const std::string& text) {
  if (key == "memory") {
    const auto size = parse_size(value);
    if (!size) refuse_driver_option(text, "not a size such as 1g");
    builder.limits.memory_bytes = static_cast<std::uint64_t>(*size);
  } else if (key == "cpus") {
    const auto cpus = parse_double(value);
    if (!cpus || *cpus <= 0) refuse_driver_option(text, "not a number of CPUs such as 1.5");
    builder.limits.cpus = *cpus;
  } else if (key == "jobs") {
    const auto jobs = parse_int(value);
    if (!jobs || *jobs < 1 || *jobs > 1024) refuse_driver_option(text, "not a number from 1 to 1024");
    builder.limits.jobs = static_cast<int>(*jobs);
  } else if (key == "cache-size") {
    builder.cache_size = value;
  } else if (key == "default-load" || (key == "network" && value == "host")) {
    // Images are always in the store, and registries are spoken to from the host's network.
  } else {
    refuse_driver_option(text, "not supported: memory, cpus, jobs and cache-size are");
  }
}

void set_driver_options(BuilderRecord& builder, const ParsedFlags& flags) {
  for (const std::string& text : flags.list("driver-opt")) {
    for (const std::string& option : split(text, ',')) {
      const auto pair = cut(option, '=');
      if (!pair) refuse_driver_option(option, "expected key=value");
      set_driver_option(builder, pair->first, pair->second, option);
    }
  }
}

void refuse_foreign_builders(const ParsedFlags& flags) {
  const std::string& driver = flags.text("driver");
  if (!driver.empty() && driver != "docker" && driver != "docker-container" && driver != "ctr") {
    throw UsageError("--driver " + driver + " is not supported: ctr builds on this machine");
  }
  for (const char* name : {"buildkitd-config", "config", "leave"}) {
    if (flags.given(name)) throw UsageError(std::string("--") + name + " is not supported: there is no buildkitd");
  }
  check_daemon_flags(flags.text("buildkitd-flags"));
  if (!flags.arguments().empty()) {
    throw UsageError("an endpoint (" + flags.arguments().front() + ") is not supported: ctr builds on this machine");
  }
}

std::vector<std::string> platforms_of(const ParsedFlags& flags) {
  std::vector<std::string> platforms;
  for (const std::string& text : flags.list("platform")) {
    for (const std::string& word : split(text, ',')) {
      if (!trim(word).empty()) platforms.push_back(parse_platform(trim(word)).str());
    }
  }
  return platforms;
}

int create(Invocation& invocation) {
  const ParsedFlags& flags = invocation.flags();
  refuse_foreign_builders(flags);
  BuilderRecord wanted;
  wanted.name = flags.text("name");
  wanted.platforms = platforms_of(flags);
  if (!flags.text("driver").empty()) wanted.driver = flags.text("driver");
  set_driver_options(wanted, flags);
  if (!wanted.cache_size.empty()) disk_space(invocation.context(), wanted.cache_size);
  const BuilderRecord made =
      create_builder(invocation.context(), wanted, flags.on("append") ? BuilderAppend::Yes : BuilderAppend::No);
  if (flags.on("use")) use_builder(invocation.context(), made.name);
  write_standard_out(made.name + "\n");
  return 0;
}

void define_use_flags(FlagTable& flags) {
  flags.toggle("default", 0, "Set builder as default for current context");
  flags.toggle("global", 0, "Builder persists context changes");
}

int use(Invocation& invocation) {
  use_builder(invocation.context(), invocation.arguments().front());
  return 0;
}

std::string own_platforms() { return host_platform().str(); }

std::string platform_words(const BuilderRecord& builder) {
  return builder.platforms.empty() ? own_platforms() : join(builder.platforms, ", ");
}

void define_list_flags(FlagTable& flags) {
  flags.text("format", 0, "string", "Format the output: 'table', 'table TEMPLATE', 'json' or TEMPLATE");
  flags.toggle("no-trunc", 0, "Don't truncate output");
}

/// A line a builder and one for its node; names are marked in tables only, scripts get them bare.
void add_builder_rows(Listing& listing, const BuilderRecord& builder, bool is_table, bool is_chosen) {
  const std::string node = builder.name + "0";
  listing.rows.push_back({Json::object({{"Name", builder.name + (is_table && is_chosen ? "*" : "")},
                                        {"DriverEndpoint", builder.driver},
                                        {"LastActivity", builder.created},
                                        {"Status", ""},
                                        {"Buildkit", ""},
                                        {"Platforms", ""}}),
                          {}});
  listing.rows.push_back({Json::object({{"Name", (is_table ? " \\_ " : "") + node},
                                        {"DriverEndpoint", std::string(is_table ? " \\_ " : "") + "this machine"},
                                        {"LastActivity", ""},
                                        {"Status", "running"},
                                        {"Buildkit", std::string("ctr ") + CTR_VERSION},
                                        {"Platforms", platform_words(builder)}}),
                          {}});
}

Json builder_document(const BuilderRecord& builder, bool is_chosen) {
  Json node = Json::object({{"Name", builder.name + "0"}, {"Endpoint", "this machine"}, {"Status", "running"}, {"Platforms", platform_words(builder)}});
  Json nodes = Json::array();
  nodes.push_back(std::move(node));
  Json document = Json::object({{"Name", builder.name}, {"Driver", builder.driver}, {"LastActivity", builder.created}, {"Current", is_chosen}});
  document["Nodes"] = std::move(nodes);
  return document;
}

int list(Invocation& invocation) {
  const std::string& format = invocation.flags().text("format");
  const std::string chosen = chosen_builder(invocation.context());
  const std::vector<BuilderRecord> builders = list_builders(invocation.context());
  if (format == "json") {
    for (const BuilderRecord& builder : builders) write_standard_out(builder_document(builder, builder.name == chosen).dump() + "\n");
    return 0;
  }
  Listing listing;
  listing.default_format = "table {{.Name}}\t{{.DriverEndpoint}}\t{{.Status}}\t{{.Buildkit}}\t{{.Platforms}}";
  listing.headings = {{"Name", "NAME/NODE"}, {"DriverEndpoint", "DRIVER/ENDPOINT"}, {"LastActivity", "LAST ACTIVITY"},
                      {"Status", "STATUS"}, {"Buildkit", "BUILDKIT"}, {"Platforms", "PLATFORMS"}};
  const bool is_table = format.empty() || format.starts_with("table");
  for (const BuilderRecord& builder : builders) add_builder_rows(listing, builder, is_table, builder.name == chosen);
  print_listing(listing, format);
  return 0;
}

void define_inspect_flags(FlagTable& flags) {
  flags.toggle("bootstrap", 0, "Accepted for buildx's sake: there is nothing to start");
}

/// "memory=1GiB, cpus=2", as far as they are set.
std::string limit_words(const BuilderRecord& builder) {
  std::vector<std::string> words;
  if (builder.limits.memory_bytes != 0) words.push_back("memory=" + human_size_binary(static_cast<double>(builder.limits.memory_bytes)));
  if (builder.limits.cpus > 0) words.push_back("cpus=" + Json(builder.limits.cpus).dump());
  if (builder.limits.jobs != 0) words.push_back("jobs=" + std::to_string(builder.limits.jobs));
  if (!builder.cache_size.empty()) words.push_back("cache-size=" + builder.cache_size);
  return join(words, ", ");
}

int inspect(Invocation& invocation) {
  Context& context = invocation.context();
  const BuilderRecord builder =
      get_builder(context, invocation.arguments().empty() ? chosen_builder(context) : invocation.arguments().front());
  std::vector<std::pair<std::string, std::string>> lines = {{"Name", builder.name}, {"Driver", builder.driver}};
  if (!builder.created.empty()) lines.emplace_back("Last Activity", builder.created);
  std::vector<std::pair<std::string, std::string>> node = {{"Name", builder.name + "0"}, {"Endpoint", "this machine"}};
  if (const std::string limits = limit_words(builder); !limits.empty()) node.emplace_back("Driver Options", limits);
  node.emplace_back("Status", "running");
  node.emplace_back("BuildKit version", std::string("ctr ") + CTR_VERSION);
  node.emplace_back("Platforms", platform_words(builder));
  write_standard_out(definition_list(lines) + "\nNodes:\n" + definition_list(node));
  return 0;
}

void define_remove_flags(FlagTable& flags) {
  flags.toggle("all-inactive", 0, "Remove all inactive builders: none is, for none is a process");
  flags.toggle("force", 'f', "Do not prompt for confirmation");
  flags.toggle("keep-daemon", 0, "Accepted for buildx's sake: there is no daemon");
  flags.toggle("keep-state", 0, "Accepted for buildx's sake: the cache belongs to the store");
}

int remove(Invocation& invocation) {
  if (invocation.arguments().empty()) {
    if (invocation.flags().on("all-inactive")) return 0;
    const std::string chosen = chosen_builder(invocation.context());
    remove_builder(invocation.context(), chosen);
    write_standard_out(chosen + " removed\n");
    return 0;
  }
  return for_each_argument(invocation, [&](const std::string& name) {
    remove_builder(invocation.context(), name);
    return name + " removed";
  });
}

int stop(Invocation& invocation) {
  for (const std::string& name : invocation.arguments()) get_builder(invocation.context(), name);
  return 0;
}

int version(Invocation&) {
  write_standard_out(std::string("ctr buildx ") + CTR_VERSION + "\n");
  return 0;
}

CommandSpec spec(std::string words, std::string arguments, std::string summary, std::size_t least, std::size_t most,
                 void (*define)(FlagTable&), int (*run)(Invocation&)) {
  return {.words = std::move(words), .arguments = std::move(arguments), .summary = std::move(summary),
          .min_arguments = least, .max_arguments = most, .define_flags = define, .run = run};
}

}  // namespace

std::vector<CommandSpec> buildx_command_specs() {
  std::vector<CommandSpec> specs = {spec("buildx create", "[OPTIONS]", "Create a new builder", 0, kAnyNumber, define_create_flags, create),
          spec("buildx use", "[OPTIONS] NAME", "Set the current builder", 1, 1, define_use_flags, use),
          spec("buildx ls", "[OPTIONS]", "List builders", 0, 0, define_list_flags, list),
          spec("buildx inspect", "[OPTIONS] [NAME]", "Inspect a builder", 0, 1, define_inspect_flags, inspect),
          spec("buildx rm", "[OPTIONS] [NAME...]", "Remove one or more builders", 0, kAnyNumber, define_remove_flags, remove),
          spec("buildx stop", "[NAME...]", "Stop builders: does nothing, for none is a process", 0, kAnyNumber, nullptr, stop),
          spec("buildx version", "", "Show the version", 0, 0, nullptr, version)};
  // `docker builder` is buildx under another name.
  for (CommandSpec& each : specs) each.aliases.push_back("builder" + each.words.substr(std::string("buildx").size()));
  return specs;
}

}  // namespace ctr
