// Images by name: images, rmi, tag, history.
#include "engine/images.h"

#include <unistd.h>

#include "base/text.h"
#include "base/time.h"
#include "cli/client_config.h"
#include "cli/commands.h"
#include "cli/container_options.h"
#include "cli/error_text.h"
#include "cli/listing.h"
#include "cli/output.h"

namespace ctr {

namespace {

constexpr const char* kNone = "<none>";

std::string short_id(const std::string& id) { return std::string(without_prefix(id, "sha256:")).substr(0, 12); }

// ---- images ----

void define_list_flags(FlagTable& flags) {
  flags.toggle("all", 'a', "Show all images (default hides intermediate images)");
  flags.toggle("digests", 0, "Show digests");
  flags.list("filter", 'f', "filter", "Filter output based on conditions provided");
  flags.text("format", 0, "string", "Format output using a custom template: 'table', 'table TEMPLATE', 'json' or TEMPLATE");
  flags.toggle("no-trunc", 0, "Don't truncate output");
  flags.toggle("quiet", 'q', "Only show image IDs");
  flags.toggle("tree", 0, "List multi-platform images as a tree");
}

struct ShownImage {
  std::string repository = kNone;
  std::string tag = kNone;
  std::string digest = kNone;
};

/// An image has a row for each of its names, or one without.
std::vector<ShownImage> names_of(const ImageSummary& image, bool with_digests) {
  const auto digest_of = [&](const std::string& repository) -> std::string {
    for (const std::string& text : image.repo_digests) {
      const std::size_t at = text.find('@');
      if (text.substr(0, at) == repository) return text.substr(at + 1);
    }
    return kNone;
  };
  std::vector<ShownImage> shown;
  for (const std::string& text : image.repo_tags) {
    const std::size_t colon = text.rfind(':');
    const std::string repository = text.substr(0, colon);
    shown.push_back({repository, text.substr(colon + 1), with_digests ? digest_of(repository) : kNone});
  }
  if (shown.empty()) {
    for (const std::string& text : image.repo_digests) {
      const std::size_t at = text.find('@');
      shown.push_back({text.substr(0, at), kNone, text.substr(at + 1)});
      if (!with_digests) break;
    }
  }
  if (shown.empty()) shown.emplace_back();
  return shown;
}

ListRow row_of(const ImageSummary& image, const ShownImage& name, bool is_cut, Time reference) {
  const Time created{std::chrono::seconds(image.created)};
  const bool is_dated = image.created > 0;
  std::vector<std::string> labels;
  for (const auto& [key, value] : image.labels) labels.push_back(key + "=" + value);
  const std::string size = human_size(static_cast<double>(image.size));
  ListRow row;
  row.fields = Json::object({
      {"Containers", std::to_string(image.containers)},
      {"CreatedAt", is_dated ? format_time_local(created) : ""},
      {"CreatedSince", is_dated ? human_duration(reference - created) + " ago" : "N/A"},
      {"Digest", name.digest},
      {"ID", is_cut ? short_id(image.id) : image.id},
      {"Labels", join(labels, ",")},
      {"Platforms", join(image.platforms, ",")},
      {"Repository", name.repository},
      {"SharedSize", human_size(static_cast<double>(image.shared_size))},
      {"Size", size},
      {"Tag", name.tag},
      {"UniqueSize", human_size(static_cast<double>(image.size - std::min(image.size, image.shared_size)))},
      {"VirtualSize", size},
  });
  row.methods = Json::object({{"Label", Json(image.labels)}});
  return row;
}

int list(Invocation& invocation) {
  const ParsedFlags& flags = invocation.flags();
  ListImagesRequest request;
  request.all = flags.on("all");
  if (!invocation.arguments().empty()) request.reference = invocation.arguments().front();
  request.filters = parse_image_filters(flags.list("filter"));
  const std::vector<ImageSummary> images = list_images(invocation.context(), request);
  const bool is_cut = !flags.on("no-trunc");
  if (flags.on("quiet") && flags.text("format").empty()) {
    for (const ImageSummary& image : images) {
      for (std::size_t i = 0; i < names_of(image, false).size(); ++i) {
        write_standard_out((is_cut ? short_id(image.id) : image.id) + "\n");
      }
    }
    return 0;
  }
  std::string format = flags.text("format");
  if (format.empty()) format = client_config_text("imagesFormat").value_or("");
  const bool with_digests = flags.on("digests") || format.find(".Digest") != std::string::npos;
  Listing listing;
  listing.default_format = flags.on("tree") ? "table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.Platforms}}\t{{.Size}}"
                           : with_digests
                               ? "table {{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}"
                               : "table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}";
  listing.headings = {{"Repository", "REPOSITORY"}, {"Tag", "TAG"}, {"ID", "IMAGE ID"}, {"CreatedSince", "CREATED"},
                      {"CreatedAt", "CREATED AT"}, {"Size", "SIZE"}, {"Digest", "DIGEST"}, {"Containers", "CONTAINERS"},
                      {"VirtualSize", "SIZE"}, {"SharedSize", "SHARED SIZE"}, {"UniqueSize", "UNIQUE SIZE"},
                      {"Platforms", "PLATFORMS"}, {"Labels", "LABELS"}};
  const Time reference = now();
  for (const ImageSummary& image : images) {
    for (const ShownImage& name : names_of(image, with_digests)) {
      listing.rows.push_back(row_of(image, name, is_cut, reference));
    }
  }
  print_listing(listing, format);
  return 0;
}

// ---- rmi ----

void define_remove_flags(FlagTable& flags) {
  flags.toggle("force", 'f', "Force removal of the image");
  flags.toggle("no-prune", 0, "Do not delete untagged parents");
  flags.list("platform", 0, "strings", "Remove only the given platform variant");
}

std::string item_words(const RemovedImageItem& item) {
  return (item.action == RemovedImageItem::Action::Untagged ? "Untagged: " : "Deleted: ") + item.what;
}

int remove(Invocation& invocation) {
  const ParsedFlags& flags = invocation.flags();
  if (flags.given("platform")) throw UsageError("--platform is not supported yet by rmi: remove the whole image");
  int status = 0;
  for (const std::string& name : invocation.arguments()) {
    try {
      for (const RemovedImageItem& item :
           remove_image(invocation.context(), name, flags.on("force") ? RemoveForce::Yes : RemoveForce::No,
                        flags.on("no-prune") ? PruneParents::No : PruneParents::Yes)) {
        write_standard_out(item_words(item) + "\n");
      }
    } catch (const Error& error) {
      flush_standard_out();
      print_error(error_text(error, invocation.global()));
      if (!flags.on("force") || error.kind() != ErrorKind::NotFound) status = 1;
    }
  }
  return status;
}

int tag(Invocation& invocation) {
  tag_image(invocation.context(), invocation.arguments()[0], invocation.arguments()[1]);
  return 0;
}

// ---- history ----

void define_history_flags(FlagTable& flags) {
  flags.text("format", 0, "string", "Format output using a custom template: 'table', 'table TEMPLATE', 'json' or TEMPLATE");
  flags.toggle("human", 'H', "Print sizes and dates in human readable format", true);
  flags.toggle("no-trunc", 0, "Don't truncate output");
  flags.text("platform", 0, "string", "Show history for the given platform");
  flags.toggle("quiet", 'q', "Only show image IDs");
}

int history(Invocation& invocation) {
  const ParsedFlags& flags = invocation.flags();
  const bool is_cut = !flags.on("no-trunc");
  const bool is_human = flags.on("human");
  Listing listing;
  listing.default_format = "table {{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}";
  listing.headings = {{"ID", "IMAGE"}, {"CreatedSince", "CREATED"}, {"CreatedAt", "CREATED AT"}, {"CreatedBy", "CREATED BY"},
                      {"Size", "SIZE"}, {"Comment", "COMMENT"}};
  const Time reference = now();
  for (const HistoryItem& item : image_history(invocation.context(), invocation.arguments().front(), platform_option(flags))) {
    const std::string id = is_cut ? short_id(item.id) : item.id;
    if (flags.on("quiet")) {
      write_standard_out(id + "\n");
      continue;
    }
    const Time created{std::chrono::seconds(item.created)};
    const std::string created_by = replace_all(item.created_by, "\t", " ");
    listing.rows.push_back({Json::object({
                                {"Comment", item.comment},
                                {"CreatedAt", format_time_seconds(created)},
                                {"CreatedBy", is_cut ? ellipsis(created_by, 45) : created_by},
                                {"CreatedSince", is_human ? human_duration(reference - created) + " ago" : format_time_seconds(created)},
                                {"ID", id},
                                {"Size", is_human ? human_size(static_cast<double>(item.size)) : std::to_string(item.size)},
                            }),
                            {}});
  }
  if (!flags.on("quiet")) print_listing(listing, flags.text("format"));
  return 0;
}

}  // namespace

std::vector<CommandSpec> image_command_specs() {
  return {{.words = "images",
           .arguments = "[OPTIONS] [REPOSITORY[:TAG]]",
           .summary = "List images",
           .group = HelpGroup::Common,
           .max_arguments = 1,
           .define_flags = define_list_flags,
           .run = list,
           .aliases = {"image ls", "image list"}},
          {.words = "rmi",
           .arguments = "[OPTIONS] IMAGE [IMAGE...]",
           .summary = "Remove one or more images",
           .min_arguments = 1,
           .define_flags = define_remove_flags,
           .run = remove,
           .aliases = {"image rm", "image remove"}},
          {.words = "tag",
           .arguments = "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
           .summary = "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
           .min_arguments = 2,
           .max_arguments = 2,
           .run = tag,
           .aliases = {"image tag"}},
          {.words = "history",
           .arguments = "[OPTIONS] IMAGE",
           .summary = "Show the history of an image",
           .min_arguments = 1,
           .max_arguments = 1,
           .define_flags = define_history_flags,
           .run = history,
           .aliases = {"image history"}}};
}

}  // namespace ctr
