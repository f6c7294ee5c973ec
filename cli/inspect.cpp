// ctr inspect, and inspect of one kind: Docker's documents.
#include <functional>

#include "cli/commands.h"
#include "cli/container_options.h"
#include "cli/error_text.h"
#include "cli/listing.h"
#include "cli/output.h"
#include "engine/containers.h"
#include "engine/images.h"
#include "engine/networks.h"
#include "engine/remote_images.h"
#include "engine/volumes.h"

namespace ctr {

namespace {

using Look = std::function<Json(const std::string&)>;

/// Prints what is found as one array, or each through the template; says what is missing; status 1 if anything is.
int inspect_all(Invocation& invocation, const Look& look) {
  const std::string& format = invocation.flags().text("format");
  Json found = Json::array();
  int status = 0;
  std::string errors;
  for (const std::string& name : invocation.arguments()) {
    try {
      Json document = look(name);
      if (!format.empty()) write_standard_out(render_document(document, format) + "\n");
      found.push_back(std::move(document));
    } catch (const Error& error) {
      errors += "ctr: " + error_text(error, invocation.global()) + "\n";
      status = 1;
    }
  }
  if (format.empty()) write_standard_out(found.dump_pretty(4) + "\n");
  flush_standard_out();
  write_standard_error(errors);
  return status;
}

/// Nothing if there is no such thing; other errors pass.
std::optional<Json> try_look(const Look& look, const std::string& name) {
  try {
    return look(name);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::NotFound) throw;
    return std::nullopt;
  }
}

Look look_at_container(Invocation& invocation) {
  const bool with_size = invocation.flags().find_text("size") && invocation.flags().on("size");
  return [&invocation, with_size](const std::string& name) {
    return inspect_container(invocation.context(), name, with_size ? WithSize::Yes : WithSize::No);
  };
}

Look look_at_image(Invocation& invocation, std::optional<Platform> platform) {
  return [&invocation, platform](const std::string& name) { return inspect_image(invocation.context(), name, platform); };
}

void define_format(FlagTable& flags) {
  flags.text("format", 'f', "string", "Format output using a custom template: 'json' or TEMPLATE");
}

void define_container_inspect_flags(FlagTable& flags) {
  define_format(flags);
  flags.toggle("size", 's', "Display total file sizes");
}

Look look_at_remote_image(Invocation& invocation) {
  const std::optional<Platform> platform = platform_option(invocation.flags());
  return [&invocation, platform](const std::string& name) {
    return inspect_remote_image(invocation.context(), name, platform);
  };
}

void define_remote(FlagTable& flags) {
  flags.text("platform", 0, "string", "Inspect a specific platform of the multi-platform image");
  flags.toggle("remote", 0, "Ask the registry, without pulling the image");
}

void define_image_inspect_flags(FlagTable& flags) {
  define_format(flags);
  define_remote(flags);
}

void define_any_flags(FlagTable& flags) {
  define_container_inspect_flags(flags);
  define_remote(flags);
  flags.text("type", 0, "string", "Only inspect objects of the given type: container, image, network, volume");
}

int inspect_containers(Invocation& invocation) { return inspect_all(invocation, look_at_container(invocation)); }

int inspect_images(Invocation& invocation) {
  if (invocation.flags().on("remote")) return inspect_all(invocation, look_at_remote_image(invocation));
  return inspect_all(invocation, look_at_image(invocation, platform_option(invocation.flags())));
}

Look look_at_network(Invocation& invocation) {
  return [&](const std::string& name) {
    return inspect_network(invocation.context(), resolve_network(invocation.context(), name));
  };
}

Look look_at_volume(Invocation& invocation) {
  return [&](const std::string& name) { return inspect_volume(get_volume(invocation.context(), name)); };
}

int inspect_networks(Invocation& invocation) { return inspect_all(invocation, look_at_network(invocation)); }

int inspect_volumes(Invocation& invocation) { return inspect_all(invocation, look_at_volume(invocation)); }

int inspect_any(Invocation& invocation) {
  const ParsedFlags& flags = invocation.flags();
  const std::string& type = flags.text("type");
  if (flags.on("remote")) {
    if (!type.empty() && type != "image") throw UsageError("--remote is for images, not for type " + type);
    return inspect_all(invocation, look_at_remote_image(invocation));
  }
  if (flags.given("platform") && type != "image") throw UsageError("--platform needs --remote or --type image");
  const std::vector<std::pair<std::string, Look>> looks = {
      {"container", look_at_container(invocation)},
      {"image", look_at_image(invocation, flags.given("platform") ? platform_option(flags) : std::nullopt)},
      {"network", look_at_network(invocation)},
      {"volume", look_at_volume(invocation)}};
  for (const auto& [kind, look] : looks) {
    if (type == kind) return inspect_all(invocation, look);
  }
  if (!type.empty()) throw UsageError("unknown type: \"" + type + "\": container, image, network or volume");
  return inspect_all(invocation, [&](const std::string& name) {
    for (const auto& [kind, look] : looks) {
      if (auto document = try_look(look, name)) return *document;
    }
    throw Error(ErrorKind::NotFound, "No such object: " + name);
  });
}

CommandSpec spec(std::string words, std::string what, void (*define)(FlagTable&), int (*run)(Invocation&)) {
  return {.words = std::move(words),
          .arguments = "[OPTIONS] NAME [NAME...]",
          .summary = "Display detailed information on one or more " + what,
          .min_arguments = 1,
          .define_flags = define,
          .run = run};
}

}  // namespace

std::vector<CommandSpec> inspect_command_specs() {
  return {spec("inspect", "objects", define_any_flags, inspect_any),
          spec("container inspect", "containers", define_container_inspect_flags, inspect_containers),
          spec("image inspect", "images", define_image_inspect_flags, inspect_images),
          spec("network inspect", "networks", define_format, inspect_networks),
          spec("volume inspect", "volumes", define_format, inspect_volumes)};
}

}  // namespace ctr
