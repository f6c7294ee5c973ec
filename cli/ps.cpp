// ctr ps: containers as a list.
#include <algorithm>

#include "base/text.h"
#include "base/time.h"
#include "cli/client_config.h"
#include "cli/commands.h"
#include "cli/listing.h"
#include "cli/output.h"
#include "engine/containers.h"

namespace ctr {

namespace {

constexpr std::string_view kDefault =
    "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}";
constexpr std::string_view kDefaultWithSize =
    "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}\t{{.Size}}";

void define_flags(FlagTable& flags) {
  flags.toggle("all", 'a', "Show all containers (default shows just running)");
  flags.list("filter", 'f', "filter", "Filter output based on conditions provided");
  flags.text("format", 0, "string", "Format output using a custom template: 'table', 'table TEMPLATE', 'json' or TEMPLATE");
  flags.integer("last", 'n', "int", "Show n last created containers (includes all states)", -1);
  flags.toggle("latest", 'l', "Show the latest created container (includes all states)");
  flags.toggle("no-trunc", 0, "Don't truncate output");
  flags.toggle("quiet", 'q', "Only display container IDs");
  flags.toggle("size", 's', "Display total file sizes");
}

std::string size_words(const ContainerSummary& summary) {
  if (summary.size_rw < 0) return "0B";
  std::string text = human_size(static_cast<double>(summary.size_rw));
  if (summary.size_root_fs > 0) text += " (virtual " + human_size(static_cast<double>(summary.size_root_fs)) + ")";
  return text;
}

std::string joined_labels(const StringMap& labels) {
  std::vector<std::string> pairs;
  for (const auto& [key, value] : labels) pairs.push_back(key + "=" + value);
  return join(pairs, ",");
}

std::string mount_words(const ContainerRecord& record, bool is_cut) {
  std::vector<std::string> names;
  for (const MountPoint& mount : record.mounts) {
    const std::string& name = mount.name.empty() ? mount.source : mount.name;
    names.push_back(is_cut ? ellipsis(name, 15) : name);
  }
  return join(names, ",");
}

std::int64_t local_volumes(const ContainerRecord& record) {
  return std::count_if(record.mounts.begin(), record.mounts.end(), [](const MountPoint& mount) { return mount.type == "volume"; });
}

ListRow row_of(const ContainerSummary& summary, bool is_cut, Time reference) {
  const ContainerRecord& record = summary.record;
  const Time created = parse_time(record.created).value_or(reference);
  const std::string command = is_cut ? ellipsis(summary.command, 20) : summary.command;
  ListRow row;
  row.fields = Json::object({
      {"Command", "\"" + command + "\""},
      {"CreatedAt", format_time_local(created)},
      {"HealthStatus", summary.state.health.status},
      {"ID", is_cut ? record.id.substr(0, 12) : record.id},
      {"Image", summary.image},
      {"Labels", joined_labels(record.config.labels)},
      {"LocalVolumes", std::to_string(local_volumes(record))},
      {"Mounts", mount_words(record, is_cut)},
      {"Names", record.name},
      {"Networks", join(summary.networks, ",")},
      {"Platform", record.platform},
      {"Ports", port_words(summary.ports)},
      {"RunningFor", human_duration(reference - created) + " ago"},
      {"Size", size_words(summary)},
      {"State", to_string(summary.state.status)},
      {"Status", summary.status},
  });
  row.methods = Json::object({{"Label", Json(record.config.labels)}});
  return row;
}

int list(Invocation& invocation) {
  const ParsedFlags& flags = invocation.flags();
  ListContainersRequest request;
  request.all = flags.on("all");
  request.last = flags.on("latest") ? 1 : static_cast<int>(std::max<std::int64_t>(0, flags.integer("last")));
  request.filters = parse_container_filters(flags.list("filter"));
  std::string format = flags.text("format");
  if (format.empty() && !flags.on("quiet")) format = client_config_text("psFormat").value_or("");
  const bool is_whole_document = format == "json" || format.find("json .}") != std::string::npos;
  request.size = flags.on("size") || format.find(".Size") != std::string::npos || is_whole_document;
  const std::vector<ContainerSummary> containers = list_containers(invocation.context(), request);
  const bool is_cut = !flags.on("no-trunc");
  if (flags.on("quiet") && flags.text("format").empty()) {
    for (const ContainerSummary& summary : containers) {
      write_standard_out((is_cut ? summary.record.id.substr(0, 12) : summary.record.id) + "\n");
    }
    return 0;
  }
  Listing listing;
  listing.default_format = flags.on("size") ? kDefaultWithSize : kDefault;
  listing.headings = {{"ID", "CONTAINER ID"}, {"Image", "IMAGE"}, {"Command", "COMMAND"}, {"RunningFor", "CREATED"},
                      {"CreatedAt", "CREATED AT"}, {"Status", "STATUS"}, {"State", "STATE"}, {"Ports", "PORTS"},
                      {"Names", "NAMES"}, {"Size", "SIZE"}, {"Labels", "LABELS"}, {"Mounts", "MOUNTS"},
                      {"LocalVolumes", "LOCAL VOLUMES"}, {"Networks", "NETWORKS"}, {"Platform", "PLATFORM"},
                      {"HealthStatus", "HEALTH STATUS"}};
  const Time reference = now();
  for (const ContainerSummary& summary : containers) listing.rows.push_back(row_of(summary, is_cut, reference));
  print_listing(listing, format);
  return 0;
}

}  // namespace

std::vector<CommandSpec> container_list_command_specs() {
  return {{.words = "ps",
           .arguments = "[OPTIONS]",
           .summary = "List containers",
           .group = HelpGroup::Common,
           .max_arguments = 0,
           .define_flags = define_flags,
           .run = list,
           .aliases = {"container ls", "container list", "container ps"}}};
}

}  // namespace ctr
