// Everything that is removed because nobody uses it: container, image, system prune.
#include "base/text.h"
#include "cli/commands.h"
#include "cli/confirmation.h"
#include "cli/output.h"
#include "engine/containers.h"
#include "engine/images.h"
#include "engine/system_info.h"

namespace ctr {

namespace {

void define_prune_flags(FlagTable& flags) {
  flags.list("filter", 0, "filter", "Provide filter values (e.g. \"until=<timestamp>\")");
  flags.toggle("force", 'f', "Do not prompt for confirmation");
}

void define_image_prune_flags(FlagTable& flags) {
  define_prune_flags(flags);
  flags.toggle("all", 'a', "Remove all unused images, not just dangling ones");
}

void define_system_prune_flags(FlagTable& flags) {
  define_image_prune_flags(flags);
  flags.toggle("volumes", 0, "Prune anonymous volumes");
}

bool may_go_on(const ParsedFlags& flags, const std::string& warning) { return flags.on("force") || confirm(warning); }

Filters prune_filters(const ParsedFlags& flags) { return Filters(flags.list("filter"), {"until", "label", "label!"}); }

void print_list(const std::string& title, const std::vector<std::string>& names) {
  if (names.empty()) return;
  write_standard_out(title + "\n");
  for (const std::string& name : names) write_standard_out(name + "\n");
  write_standard_out("\n");
}

std::vector<std::string> words_of(const std::vector<RemovedImageItem>& items) {
  std::vector<std::string> words;
  for (const RemovedImageItem& item : items) {
    words.push_back((item.action == RemovedImageItem::Action::Untagged ? "untagged: " : "deleted: ") + item.what);
  }
  return words;
}

void print_reclaimed(std::uint64_t bytes) {
  write_standard_out("Total reclaimed space: " + human_size(static_cast<double>(bytes)) + "\n");
}

int prune_stopped(Invocation& invocation) {
  const Filters filters = prune_filters(invocation.flags());
  if (!may_go_on(invocation.flags(), "WARNING! This will remove all stopped containers.")) return 0;
  const PruneReport report = prune_containers(invocation.context(), filters);
  print_list("Deleted Containers:", report.deleted);
  print_reclaimed(report.space_reclaimed);
  return 0;
}

int prune_unused_images(Invocation& invocation) {
  const ParsedFlags& flags = invocation.flags();
  const Filters filters = Filters(flags.list("filter"), {"until", "label", "label!", "dangling"});
  const bool is_all = flags.on("all") || !filters.flag("dangling", true);
  if (!may_go_on(flags, is_all ? "WARNING! This will remove all images without at least one container associated to them."
                               : "WARNING! This will remove all dangling images.")) {
    return 0;
  }
  const ImagePruneReport report = prune_images(invocation.context(), is_all ? PruneWhich::Unused : PruneWhich::Dangling, filters);
  print_list("Deleted Images:", words_of(report.removed));
  print_reclaimed(report.space_reclaimed);
  return 0;
}

int prune_everything(Invocation& invocation) {
  const ParsedFlags& flags = invocation.flags();
  SystemPruneRequest request;
  request.all_images = flags.on("all");
  request.volumes = flags.on("volumes");
  request.filters = prune_filters(flags);
  std::string warning = "WARNING! This will remove:\n  - all stopped containers\n  - all networks not used by at least one container\n";
  if (request.volumes) warning += "  - all anonymous volumes not used by at least one container\n";
  warning += request.all_images ? "  - all images without at least one container associated to them\n  - all build cache\n"
                                : "  - all dangling images\n  - unused build cache\n";
  if (!may_go_on(flags, warning)) return 0;
  const SystemPruneReport report = prune_system(invocation.context(), request);
  print_list("Deleted Containers:", report.containers);
  print_list("Deleted Networks:", report.networks);
  print_list("Deleted Volumes:", report.volumes);
  print_list("Deleted Images:", words_of(report.images));
  print_list("Deleted build cache objects:", report.build_cache);
  print_reclaimed(report.space_reclaimed);
  return 0;
}

CommandSpec spec(std::string words, std::string summary, void (*define)(FlagTable&), int (*run)(Invocation&)) {
  return {.words = std::move(words), .arguments = "[OPTIONS]", .summary = std::move(summary), .max_arguments = 0,
          .define_flags = define, .run = run};
}

}  // namespace

std::vector<CommandSpec> prune_command_specs() {
  return {spec("container prune", "Remove all stopped containers", define_prune_flags, prune_stopped),
          spec("image prune", "Remove unused images", define_image_prune_flags, prune_unused_images),
          spec("system prune", "Remove unused data", define_system_prune_flags, prune_everything)};
}

}  // namespace ctr
