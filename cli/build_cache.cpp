// ctr buildx du and prune, also as ctr builder: what the build cache takes, and how it goes.
#include "base/text.h"
#include "base/time.h"
#include "cli/buildx_commands.h"
#include "cli/confirmation.h"
#include "cli/definition_list.h"
#include "cli/listing.h"
#include "cli/output.h"
#include "cli/template.h"
#include "engine/builders.h"
#include "engine/cache_prune.h"

namespace ctr {

namespace {

std::string size_words(std::uint64_t bytes) { return human_size(static_cast<double>(bytes)); }

std::string ago(const std::string& time) {
  const auto when = parse_time(time);
  return when ? human_duration(now() - *when) + " ago" : "";
}

const char* word(bool value) { return value ? "true" : "false"; }

/// What going frees: nothing for what is in use, or an image's too.
bool is_reclaimable(const BuildCacheUsage& entry) { return !entry.in_use && !entry.shared; }

Json fields_of(const BuildCacheUsage& entry) {
  return Json::object({{"CreatedAt", entry.created_at},
                       {"Description", entry.description},
                       {"ID", entry.id},
                       {"InUse", entry.in_use},
                       {"LastUsedAt", entry.last_used_at},
                       {"LastUsedSince", ago(entry.last_used_at)},
                       {"Mutable", entry.is_mutable},
                       {"Parents", Json::array()},
                       {"Reclaimable", is_reclaimable(entry)},
                       {"Shared", entry.shared},
                       {"Size", size_words(entry.size)},
                       {"Type", entry.type},
                       {"UsageCount", entry.usage_count}});
}

/// A star says that the bytes are an image's or a container's.
std::string table_row(const BuildCacheUsage& entry) {
  return entry.id + "\t" + word(is_reclaimable(entry)) + "\t" + size_words(entry.size) + (entry.shared ? "*" : "") + "\t" +
         ago(entry.last_used_at) + "\n";
}

constexpr const char* kTableHeading = "ID\tRECLAIMABLE\tSIZE\tLAST ACCESSED\n";

std::string verbose_text(const BuildCacheUsage& entry) {
  return definition_list({{"ID", entry.id},
                          {"Created at", entry.created_at},
                          {"Mutable", word(entry.is_mutable)},
                          {"Reclaimable", word(is_reclaimable(entry))},
                          {"Shared", word(entry.shared)},
                          {"Size", size_words(entry.size)},
                          {"Description", entry.description},
                          {"Usage count", std::to_string(entry.usage_count)},
                          {"Last used", ago(entry.last_used_at)},
                          {"Type", entry.type}}) +
         "\n";
}

void check_builder(Invocation& invocation) {
  if (const auto builder = invocation.flags().find_text("builder")) get_builder(invocation.context(), *builder);
}

void define_du_flags(FlagTable& flags) {
  flags.text("builder", 0, "string", "Override the configured builder instance: all share the cache of the store");
  flags.list("filter", 0, "filter", "Provide filter values");
  flags.text("format", 0, "string", "Format the output: 'json' or TEMPLATE");
  flags.text("timestamp", 0, "string", "Refused: times are shown as durations");
  flags.hide_last();
  flags.toggle("verbose", 0, "Provide a more verbose output");
}

std::string totals_text(const std::vector<BuildCacheUsage>& entries) {
  const CacheTotals totals = total_of(entries);
  std::vector<std::pair<std::string, std::string>> lines;
  if (totals.shared != 0) {
    lines.emplace_back("Shared", size_words(totals.shared) + " (with images and containers, counted there)");
    lines.emplace_back("Private", size_words(totals.private_bytes));
  }
  lines.emplace_back("Reclaimable", size_words(totals.reclaimable));
  lines.emplace_back("Total", size_words(totals.private_bytes));
  return definition_list(lines);
}

int du(Invocation& invocation) {
  const ParsedFlags& flags = invocation.flags();
  if (flags.given("timestamp")) throw UsageError("--timestamp is not supported");
  check_builder(invocation);
  const std::vector<BuildCacheUsage> oldest_first = build_cache_usage(invocation.context(), flags.list("filter"));
  const std::vector<BuildCacheUsage> entries(oldest_first.rbegin(), oldest_first.rend());
  if (const auto format = flags.find_text("format")) {
    if (flags.on("verbose")) throw UsageError("--format and --verbose cannot be used together");
    const Template shape = Template::parse(*format == "json" ? "{{json .}}" : *format);
    for (const BuildCacheUsage& entry : entries) write_standard_out(shape.render(fields_of(entry)) + "\n");
    return 0;
  }
  if (flags.on("verbose")) {
    for (const BuildCacheUsage& entry : entries) write_standard_out(verbose_text(entry));
  } else if (!entries.empty()) {
    std::string table = kTableHeading;
    for (const BuildCacheUsage& entry : entries) table += table_row(entry);
    write_standard_out(align_columns(table));
  }
  write_standard_out(totals_text(entries));
  return 0;
}

void define_prune_flags(FlagTable& flags) {
  flags.toggle("all", 'a', "Remove all unused build cache, not just what frees space");
  flags.text("builder", 0, "string", "Override the configured builder instance: all share the cache of the store");
  flags.list("filter", 0, "filter", "Provide filter values (e.g., \"until=24h\")");
  flags.toggle("force", 'f', "Do not prompt for confirmation");
  flags.text("keep-storage", 0, "bytes", "Amount of disk space to keep for cache: the same as --reserved-space");
  flags.text("max-used-space", 0, "bytes", "Maximum amount of disk space allowed to keep for cache");
  flags.text("min-free-space", 0, "bytes", "Target amount of free disk space after pruning");
  flags.text("reserved-space", 0, "bytes", "Amount of disk space always allowed to keep for cache");
  flags.toggle("verbose", 0, "Provide a more verbose output");
}

std::uint64_t space_option(Invocation& invocation, const char* flag) {
  const auto text = invocation.flags().find_text(flag);
  if (!text) return 0;
  try {
    return disk_space(invocation.context(), *text);
  } catch (const Error& error) {
    throw UsageError("invalid argument \"" + *text + "\" for \"--" + flag + "\" flag: " + error.what());
  }
}

int prune(Invocation& invocation) {
  const ParsedFlags& flags = invocation.flags();
  check_builder(invocation);
  CachePruneRequest request;
  request.which = flags.on("all") ? CachePrune::Everything : CachePrune::Unshared;
  request.filters = flags.list("filter");
  request.reserved_space = std::max(space_option(invocation, "reserved-space"), space_option(invocation, "keep-storage"));
  request.max_used_space = space_option(invocation, "max-used-space");
  request.min_free_space = space_option(invocation, "min-free-space");
  const std::string warning = flags.on("all") ? "WARNING! This will remove all build cache."
                                              : "WARNING! This will remove all dangling build cache.";
  if (!flags.on("force") && !confirm(warning)) return 0;
  const CachePruneReport report = prune_build_cache(invocation.context(), request);
  if (flags.on("verbose")) {
    for (const BuildCacheUsage& entry : report.removed) write_standard_out(verbose_text(entry));
  } else if (!report.removed.empty()) {
    std::string table = kTableHeading;
    for (const BuildCacheUsage& entry : report.removed) table += table_row(entry);
    write_standard_out(align_columns(table));
  }
  write_standard_out("Total:\t" + size_words(report.space_reclaimed) + "\n");
  return 0;
}

}  // namespace

std::vector<CommandSpec> build_cache_command_specs() {
  return {{.words = "buildx du",
           .arguments = "[OPTIONS]",
           .summary = "Disk usage of the build cache",
           .max_arguments = 0,
           .define_flags = define_du_flags,
           .run = du,
           .aliases = {"builder du"}},
          {.words = "buildx prune",
           .arguments = "[OPTIONS]",
           .summary = "Remove build cache",
           .max_arguments = 0,
           .define_flags = define_prune_flags,
           .run = prune,
           .aliases = {"builder prune"}}};
}

}  // namespace ctr
