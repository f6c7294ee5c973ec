// ctr system: check, df, reset, start-all, events.
#include <unistd.h>

#include "base/text.h"
#include "base/time.h"
#include "cli/commands.h"
#include "cli/confirmation.h"
#include "cli/listing.h"
#include "cli/output.h"
#include "cli/template.h"
#include "engine/containers.h"
#include "engine/events.h"
#include "engine/system_check.h"
#include "engine/system_info.h"

namespace ctr {

namespace {

// ---- df ----

void define_df_flags(FlagTable& flags) {
  flags.text("format", 0, "string", "Format output using a custom template: 'table', 'table TEMPLATE', 'json' or TEMPLATE");
  flags.toggle("verbose", 'v', "Show detailed information on space usage");
}

std::string size_words(std::uint64_t bytes) { return human_size(static_cast<double>(bytes)); }

ListRow usage_row(const DiskUsageRow& usage) {
  std::string reclaimable = size_words(usage.reclaimable);
  if (usage.size > 0) reclaimable += " (" + std::to_string(usage.reclaimable * 100 / usage.size) + "%)";
  return {Json::object({{"Active", std::to_string(usage.active)},
                        {"Reclaimable", reclaimable},
                        {"Size", size_words(usage.size)},
                        {"TotalCount", std::to_string(usage.total_count)},
                        {"Type", usage.type}}),
          {}};
}

void print_verbose(const DiskUsage& usage) {
  std::string text = "Images space usage:\n\n";
  std::string table = "REPOSITORY\tIMAGE ID\tSIZE\tSHARED SIZE\tCONTAINERS\n";
  for (const ImageSummary& image : usage.images) {
    table += (image.repo_tags.empty() ? "<none>" : image.repo_tags.front()) + "\t" + image.id.substr(7, 12) + "\t" +
             size_words(image.size) + "\t" + size_words(image.shared_size) + "\t" + std::to_string(image.containers) + "\n";
  }
  text += align_columns(table) + "\nContainers space usage:\n\n";
  table = "CONTAINER ID\tIMAGE\tSTATUS\tSIZE\tNAMES\n";
  for (const ContainerSummary& container : usage.containers) {
    table += container.record.id.substr(0, 12) + "\t" + container.image + "\t" + container.status + "\t" +
             size_words(static_cast<std::uint64_t>(std::max<std::int64_t>(0, container.size_rw))) + "\t" + container.record.name + "\n";
  }
  text += align_columns(table) + "\nLocal Volumes space usage:\n\n";
  table = "VOLUME NAME\tLINKS\tSIZE\n";
  for (const VolumeUsage& volume : usage.volumes) {
    table += volume.name + "\t" + std::to_string(volume.links) + "\t" + size_words(volume.size) + "\n";
  }
  text += align_columns(table) + "\nBuild cache usage:\n\n";
  table = "CACHE ID\tCACHE TYPE\tSIZE\tCREATED\tLAST USED\tUSAGE\tSHARED\n";
  for (const BuildCacheUsage& entry : usage.build_cache) {
    table += entry.id.substr(0, 12) + "\t" + entry.type + "\t" + size_words(entry.size) + "\t" + entry.created_at + "\t" +
             entry.last_used_at + "\t" + std::to_string(entry.usage_count) + "\t" + (entry.shared ? "true" : "false") + "\n";
  }
  write_standard_out(text + align_columns(table));
}

int df(Invocation& invocation) {
  const DiskUsage usage = disk_usage(invocation.context());
  if (invocation.flags().on("verbose")) {
    if (invocation.flags().given("format")) throw UsageError("--format and --verbose cannot be used together");
    print_verbose(usage);
    return 0;
  }
  Listing listing;
  listing.default_format = "table {{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}";
  listing.headings = {{"Type", "TYPE"}, {"TotalCount", "TOTAL"}, {"Active", "ACTIVE"}, {"Size", "SIZE"}, {"Reclaimable", "RECLAIMABLE"}};
  for (const DiskUsageRow& row : usage.rows) listing.rows.push_back(usage_row(row));
  print_listing(listing, invocation.flags().text("format"));
  return 0;
}

// ---- check ----

void define_check_flags(FlagTable& flags) {
  flags.toggle("repair", 0, "Remove what is damaged or belongs to nothing, and unpack layers again from their blobs");
}

int check_store(Invocation& invocation) {
  const bool repairs = invocation.flags().on("repair");
  const CheckReport report = check_system(invocation.context(), repairs ? CheckMode::Repair : CheckMode::Look);
  for (const CheckFinding& finding : report.findings)
    write_standard_out(finding.object + ": " + finding.problem + " (" + finding.advice + ")\n");
  const auto count = [](std::uint64_t number, const char* what) { return std::to_string(number) + " " + what; };
  write_standard_out("checked " + count(report.blobs, "blobs, ") + count(report.layers, "layers, ") +
                     count(report.images, "images, ") + count(report.containers, "containers, ") +
                     count(report.build_records, "build records: ") +
                     (report.findings.empty() ? "no problem" : count(report.findings.size(), "found")) + "\n");
  return report.is_clean() ? 0 : 1;
}

// ---- reset, start-all ----

void define_reset_flags(FlagTable& flags) { flags.toggle("force", 'f', "Do not prompt for confirmation"); }

int reset(Invocation& invocation) {
  const std::string question = "WARNING! This will remove all containers, images, volumes, networks and the build cache of " +
                               invocation.context().paths().root.native() + ".";
  if (!invocation.flags().on("force") && !confirm(question)) return 0;
  for (const std::string& line : reset_system(invocation.context())) write_standard_out(line + "\n");
  return 0;
}

int start_all(Invocation& invocation) {
  int status = 0;
  for (const StartAllResult& result : start_all_containers(invocation.context())) {
    if (result.error.empty()) {
      write_standard_out(result.name + "\n");
    } else {
      print_error(result.name + ": " + result.error);
      status = 1;
    }
  }
  return status;
}

// ---- events ----

void define_events_flags(FlagTable& flags) {
  flags.list("filter", 'f', "filter", "Filter output based on conditions provided");
  flags.text("format", 0, "string", "Format output using a custom template: 'json' or TEMPLATE");
  flags.text("since", 0, "string", "Show all events created since timestamp");
  flags.text("until", 0, "string", "Stream events until this timestamp");
}

/// Docker's line: time, type, action, id (name=value, …).
std::string event_words(const Event& event) {
  std::vector<std::string> attributes;
  for (const auto& [key, value] : event.attributes) attributes.push_back(key + "=" + value);
  const Time time{std::chrono::nanoseconds(event.time_ns)};
  return format_time_fixed(time) + " " + event.type + " " + event.action + " " + event.actor_id +
         (attributes.empty() ? "" : " (" + join(attributes, ", ") + ")");
}

std::int64_t time_option(const char* flag, const std::string& text) {
  const auto time = parse_time_argument(text, now());
  if (!time) throw UsageError("invalid argument \"" + text + "\" for \"--" + flag + "\" flag: not a time");
  return time->time_since_epoch().count();
}

int events(Invocation& invocation) {
  const ParsedFlags& flags = invocation.flags();
  EventLog::Query query;
  query.filters = parse_event_filters(flags.list("filter"));
  if (const auto since = flags.find_text("since")) query.since_ns = time_option("since", *since);
  if (const auto until = flags.find_text("until")) query.until_ns = time_option("until", *until);
  query.follow = true;
  const std::string& format = flags.text("format");
  std::optional<Template> shape;
  if (!format.empty()) shape = Template::parse(format == "json" ? "{{json .}}" : format);
  invocation.context().events().read(query, [&](const Event& event) {
    write_standard_out((shape ? shape->render(to_json(event)) : event_words(event)) + "\n");
    flush_standard_out();
    return true;
  });
  return 0;
}

}  // namespace

std::vector<CommandSpec> system_command_specs() {
  return {{.words = "events",
           .arguments = "[OPTIONS]",
           .summary = "Get real time events",
           .max_arguments = 0,
           .define_flags = define_events_flags,
           .run = events,
           .aliases = {"system events"}},
          {.words = "system check",
           .arguments = "[OPTIONS]",
           .summary = "Verify blobs, layers, images and records, and find what belongs to nothing",
           .max_arguments = 0,
           .define_flags = define_check_flags,
           .run = check_store},
          {.words = "system df",
           .arguments = "[OPTIONS]",
           .summary = "Show disk usage",
           .max_arguments = 0,
           .define_flags = define_df_flags,
           .run = df},
          {.words = "system reset",
           .arguments = "[OPTIONS]",
           .summary = "Remove the store, the bridges and the nftables table",
           .max_arguments = 0,
           .define_flags = define_reset_flags,
           .run = reset},
          {.words = "system start-all",
           .arguments = "",
           .summary = "Start the containers that should run, after a reboot",
           .max_arguments = 0,
           .run = start_all}};
}

}  // namespace ctr
