// ctr buildx: builders as named configurations. The builds themselves are build.cpp's.
#include "base/text.h"
#include "cli/commands.h"
#include "cli/confirmation.h"
#include "cli/each_argument.h"
#include "cli/listing.h"
#include "cli/output.h"
#include "engine/builders.h"
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
  flags.text("buildkitd-flags", 0, "string", "Refused: there is no buildkitd");
  flags.text("driver", 0, "string", "docker, docker-container or ctr: all mean this machine");
  flags.list("driver-opt", 0, "stringArray", "Refused: drivers have no options here");
  flags.toggle("leave", 0, "Refused: a builder has one node");
  flags.text("name", 0, "string", "Builder name");
  flags.text("node", 0, "string", "Create/modify node with given name: a builder has one node");
  flags.list("platform", 0, "stringArray", "Platforms that this builder may build");
  flags.toggle("use", 0, "Set the current builder");
}

void refuse_foreign_builders(const ParsedFlags& flags) {
  const std::string& driver = flags.text("driver");
  if (!driver.empty() && driver != "docker" && driver != "docker-container" && driver != "ctr") {
    throw UsageError("--driver " + driver + " is not supported: ctr builds on this machine");
  }
  for (const char* name : {"buildkitd-config", "config", "buildkitd-flags", "driver-opt", "leave"}) {
    if (flags.given(name)) throw UsageError(std::string("--") + name + " is not supported: there is no buildkitd");
  }
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

int list(Invocation& invocation) {
  Listing listing;
  listing.default_format = "table {{.Name}}\t{{.DriverEndpoint}}\t{{.Status}}\t{{.Platforms}}";
  listing.headings = {{"Name", "NAME/NODE"}, {"DriverEndpoint", "DRIVER/ENDPOINT"}, {"Status", "STATUS"}, {"Platforms", "PLATFORMS"}};
  const std::string chosen = chosen_builder(invocation.context());
  for (const BuilderRecord& builder : list_builders(invocation.context())) {
    listing.rows.push_back({Json::object({{"Name", builder.name + (builder.name == chosen ? "*" : "")},
                                          {"DriverEndpoint", builder.driver},
                                          {"Status", "running"},
                                          {"Platforms", platform_words(builder)}}),
                            {}});
  }
  print_listing(listing, invocation.flags().text("format"));
  return 0;
}

void define_inspect_flags(FlagTable& flags) {
  flags.toggle("bootstrap", 0, "Accepted for buildx's sake: there is nothing to start");
}

int inspect(Invocation& invocation) {
  Context& context = invocation.context();
  const BuilderRecord builder =
      get_builder(context, invocation.arguments().empty() ? chosen_builder(context) : invocation.arguments().front());
  write_standard_out("Name:          " + builder.name + "\nDriver:        " + builder.driver + "\n" +
                     (builder.created.empty() ? "" : "Last Activity: " + builder.created + "\n") +
                     "\nNodes:\nName:      " + builder.name + "0\nEndpoint:  this machine\nStatus:    running\nPlatforms: " +
                     platform_words(builder) + "\n");
  return 0;
}

void define_remove_flags(FlagTable& flags) {
  flags.toggle("all-inactive", 0, "Remove all inactive builders: none is, for none is a process");
  flags.toggle("force", 'f', "Do not prompt for confirmation");
  flags.toggle("keep-daemon", 0, "Accepted for buildx's sake: there is no daemon");
  flags.toggle("keep-state", 0, "Accepted for buildx's sake: the cache belongs to the store");
}

int remove(Invocation& invocation) {
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
  return {spec("buildx create", "[OPTIONS]", "Create a new builder", 0, kAnyNumber, define_create_flags, create),
          spec("buildx use", "[OPTIONS] NAME", "Set the current builder", 1, 1, define_use_flags, use),
          spec("buildx ls", "[OPTIONS]", "List builders", 0, 0, define_list_flags, list),
          spec("buildx inspect", "[OPTIONS] [NAME]", "Inspect a builder", 0, 1, define_inspect_flags, inspect),
          spec("buildx rm", "[OPTIONS] NAME [NAME...]", "Remove one or more builders", 1, kAnyNumber, define_remove_flags, remove),
          spec("buildx stop", "[NAME...]", "Stop builders: does nothing, for none is a process", 0, kAnyNumber, nullptr, stop),
          spec("buildx version", "", "Show the version", 0, 0, nullptr, version)};
}

}  // namespace ctr
