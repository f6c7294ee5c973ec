// ctr volume: create, ls, rm, prune.
#include "engine/volumes.h"

#include "base/text.h"
#include "cli/commands.h"
#include "cli/confirmation.h"
#include "cli/container_options.h"
#include "cli/each_argument.h"
#include "cli/listing.h"
#include "cli/output.h"

namespace ctr {

namespace {

void define_create_flags(FlagTable& flags) {
  flags.text("driver", 'd', "string", "Specify volume driver name", "local");
  flags.list("label", 0, "list", "Set metadata for a volume");
  flags.text("name", 0, "string", "Specify volume name");
  flags.hide_last();
  flags.list("opt", 'o', "map", "Set driver specific options");
}

int create(Invocation& invocation) {
  const ParsedFlags& flags = invocation.flags();
  VolumeRequest request;
  request.name = flags.text("name");
  if (!invocation.arguments().empty()) request.name = invocation.arguments().front();
  request.driver = flags.text("driver");
  request.labels = label_map(flags.list("label"));
  for (const std::string& text : flags.list("opt")) {
    const auto pair = cut(text, '=');
    request.options[pair ? pair->first : text] = pair ? pair->second : "";
  }
  write_standard_out(create_volume(invocation.context(), request).name + "\n");
  return 0;
}

void define_list_flags(FlagTable& flags) {
  flags.list("filter", 'f', "filter", "Provide filter values (e.g. \"dangling=true\")");
  flags.text("format", 0, "string", "Format output using a custom template: 'table', 'table TEMPLATE', 'json' or TEMPLATE");
  flags.toggle("quiet", 'q', "Only display volume names");
}

int list(Invocation& invocation) {
  const ParsedFlags& flags = invocation.flags();
  Listing listing;
  listing.default_format = "table {{.Driver}}\t{{.Name}}";
  listing.headings = {{"Driver", "DRIVER"}, {"Name", "VOLUME NAME"}, {"Scope", "SCOPE"}, {"Mountpoint", "MOUNTPOINT"},
                      {"Labels", "LABELS"}, {"Links", "LINKS"}, {"Size", "SIZE"}, {"Availability", "AVAILABILITY"},
                      {"Group", "GROUP"}, {"Status", "STATUS"}};
  for (const Volume& volume : list_volumes(invocation.context(), parse_volume_filters(flags.list("filter")))) {
    if (flags.on("quiet")) {
      write_standard_out(volume.name + "\n");
      continue;
    }
    std::vector<std::string> labels;
    for (const auto& [key, value] : volume.labels) labels.push_back(key + "=" + value);
    listing.rows.push_back({Json::object({{"Availability", "N/A"},
                                          {"Driver", volume.driver},
                                          {"Group", "N/A"},
                                          {"Labels", join(labels, ",")},
                                          {"Links", "N/A"},
                                          {"Mountpoint", volume.mountpoint},
                                          {"Name", volume.name},
                                          {"Scope", "local"},
                                          {"Size", "N/A"},
                                          {"Status", "N/A"}}),
                            Json::object({{"Label", Json(volume.labels)}})});
  }
  if (!flags.on("quiet")) print_listing(listing, flags.text("format"));
  return 0;
}

void define_remove_flags(FlagTable& flags) { flags.toggle("force", 'f', "Do not error if the volume does not exist"); }

int remove(Invocation& invocation) {
  return for_each_argument(invocation, [&](const std::string& name) {
    try {
      remove_volume(invocation.context(), name);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::NotFound || !invocation.flags().on("force")) throw;
    }
    return name;
  });
}

void define_prune_flags(FlagTable& flags) {
  flags.toggle("all", 'a', "Remove all unused volumes, not just anonymous ones");
  flags.list("filter", 0, "filter", "Provide filter values (e.g. \"label=<label>\")");
  flags.toggle("force", 'f', "Do not prompt for confirmation");
}

int prune(Invocation& invocation) {
  const ParsedFlags& flags = invocation.flags();
  std::vector<std::string> texts = flags.list("filter");
  if (flags.on("all")) texts.push_back("all=true");
  const Filters filters = parse_volume_prune_filters(texts);
  if (!flags.on("force") &&
      !confirm(flags.on("all") ? "WARNING! This will remove all volumes not used by at least one container."
                               : "WARNING! This will remove anonymous local volumes not used by at least one container.")) {
    return 0;
  }
  const PruneReport report = prune_volumes(invocation.context(), filters);
  if (!report.deleted.empty()) write_standard_out("Deleted Volumes:\n" + join(report.deleted, "\n") + "\n\n");
  write_standard_out("Total reclaimed space: " + human_size(static_cast<double>(report.space_reclaimed)) + "\n");
  return 0;
}

}  // namespace

std::vector<CommandSpec> volume_command_specs() {
  return {{.words = "volume create",
           .arguments = "[OPTIONS] [VOLUME]",
           .summary = "Create a volume",
           .max_arguments = 1,
           .define_flags = define_create_flags,
           .run = create},
          {.words = "volume ls",
           .arguments = "[OPTIONS]",
           .summary = "List volumes",
           .max_arguments = 0,
           .define_flags = define_list_flags,
           .run = list,
           .aliases = {"volume list"}},
          {.words = "volume rm",
           .arguments = "[OPTIONS] VOLUME [VOLUME...]",
           .summary = "Remove one or more volumes",
           .min_arguments = 1,
           .define_flags = define_remove_flags,
           .run = remove,
           .aliases = {"volume remove"}},
          {.words = "volume prune",
           .arguments = "[OPTIONS]",
           .summary = "Remove unused local volumes",
           .max_arguments = 0,
           .define_flags = define_prune_flags,
           .run = prune}};
}

}  // namespace ctr
