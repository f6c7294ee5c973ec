// ctr buildx imagetools: manifests and indexes in registries, shown and put together.
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/buildx_commands.h"
#include "cli/definition_list.h"
#include "cli/output.h"
#include "cli/template.h"
#include "cli/transfer_view.h"
#include "engine/builders.h"
#include "engine/registry_indexes.h"

namespace ctr {

namespace {

constexpr std::uint64_t kDescriptorFileLimit = kMiB;

void check_builder(Invocation& invocation) {
  if (const auto builder = invocation.flags().find_text("builder")) get_builder(invocation.context(), *builder);
}

// ---- inspect ----

void define_inspect_flags(FlagTable& flags) {
  flags.text("builder", 0, "string", "Override the configured builder instance");
  flags.text("format", 0, "string", "Format the output using the given Go template");
  flags.toggle("raw", 0, "Show original, unformatted JSON manifest");
}

std::string platform_text(const Descriptor& descriptor) { return descriptor.platform ? descriptor.platform->str() : ""; }

std::string child_text(const Reference& name, const Descriptor& child) {
  std::vector<std::pair<std::string, std::string>> lines = {{"Name", name.str() + "@" + child.digest.str()},
                                                            {"MediaType", child.media_type}};
  if (child.platform) lines.emplace_back("Platform", platform_text(child));
  const std::string text = definition_list(lines, "  ");
  if (child.annotations.empty()) return text;
  return text + "  Annotations:\n" + definition_list({child.annotations.begin(), child.annotations.end()}, "    ");
}

std::string summary_of(const RemoteManifest& image) {
  std::string text = definition_list({{"Name", image.reference.str()},
                                      {"MediaType", image.descriptor.media_type},
                                      {"Digest", image.descriptor.digest.str()}});
  if (!image.descriptor.is_index()) return text;
  text += "\nManifests:\n";
  const Index index = parse_index(image.bytes, image.descriptor.media_type);
  for (std::size_t i = 0; i < index.manifests.size(); ++i)
    text += (i == 0 ? "" : "\n") + child_text(image.reference, index.manifests[i]);
  return text;
}

/// The config of one image, or of each platform's, by platform.
Json image_document(RegistryIndexes& registries, const RemoteManifest& image) {
  if (!image.descriptor.is_index()) {
    const Manifest manifest = parse_manifest(image.bytes, image.descriptor.media_type);
    return Json::parse(registries.config_of(image.reference, manifest), "config");
  }
  Json all = Json::object();
  for (const Descriptor& child : parse_index(image.bytes, image.descriptor.media_type).manifests) {
    if (is_attestation(child) || !child.platform) continue;
    const RemoteManifest part = registries.fetch(image.reference.with_digest(child.digest));
    const Manifest manifest = parse_manifest(part.bytes, part.descriptor.media_type);
    all[platform_text(child)] = Json::parse(registries.config_of(image.reference, manifest), "config");
  }
  return all;
}

/// What --format sees: Name, Manifest (the document with its digest and size) and Image.
Json template_data(RegistryIndexes& registries, const RemoteManifest& image, const std::string& format) {
  Json manifest = Json::parse(image.bytes, "manifest");
  manifest["mediaType"] = image.descriptor.media_type;
  manifest["digest"] = image.descriptor.digest.str();
  manifest["size"] = image.descriptor.size;
  Json data = Json::object({{"name", image.reference.str()}});
  data["manifest"] = std::move(manifest);
  // Configs cost a request each: only who asks for them pays.
  const bool wants_image = lower(format).find(".image") != std::string::npos || format.find("json .}}") != std::string::npos ||
                           format.find("json . }}") != std::string::npos;
  if (wants_image) data["image"] = image_document(registries, image);
  for (const char* absent : {".Provenance", ".SBOM"})
    if (format.find(absent) != std::string::npos)
      throw Error(ErrorKind::Invalid, std::string(absent) + " is not supported: look at the attestation's manifest with --raw");
  return data;
}

int inspect(Invocation& invocation) {
  const ParsedFlags& flags = invocation.flags();
  if (flags.on("raw") && flags.given("format")) throw UsageError("--raw and --format cannot be used together");
  check_builder(invocation);
  RegistryIndexes registries(invocation.context());
  const RemoteManifest image = registries.fetch(Reference::parse(invocation.arguments().front()));
  if (flags.on("raw")) {
    write_standard_out(image.bytes);
  } else if (const auto format = flags.find_text("format")) {
    const Template shape = Template::parse(*format == "json" ? "{{json .}}" : *format);
    const Json data = template_data(registries, image, *format == "json" ? "{{json .}}" : *format);
    write_standard_out(shape.render(data, {}, FieldNames::AnyCase) + "\n");
  } else {
    write_standard_out(summary_of(image));
  }
  return 0;
}

// ---- create ----

void define_create_flags(FlagTable& flags) {
  flags.list("annotation", 0, "stringArray", "Add annotation to the image");
  flags.toggle("append", 0, "Append to existing manifest");
  flags.text("builder", 0, "string", "Override the configured builder instance");
  flags.toggle("dry-run", 0, "Show final image instead of pushing");
  flags.list("file", 'f', "stringArray", "Read source descriptor from file");
  flags.text("metadata-file", 0, "string", "Write create result metadata to a file");
  flags.list("platform", 'p', "stringArray", "Filter specified platforms of target image");
  flags.toggle("prefer-index", 0, "When only a single source is specified, prefer outputting an image index or manifest list instead of performing a carbon copy", true);
  flags.text("progress", 0, "string", "Set type of progress output (\"auto\", \"none\", \"plain\", \"quiet\", \"tty\")", "auto");
  flags.list("tag", 't', "stringArray", "Set reference for new image");
}

CreateIndexRequest request_of(const ParsedFlags& flags) {
  CreateIndexRequest request;
  for (const std::string& file : flags.list("file")) request.sources.push_back(std::string(trim(read_file(file, kDescriptorFileLimit))));
  request.sources.insert(request.sources.end(), flags.arguments().begin(), flags.arguments().end());
  request.tags = flags.list("tag");
  request.annotations = flags.list("annotation");
  for (const std::string& text : flags.list("platform"))
    for (const std::string& platform : split(text, ',')) request.platforms.push_back(parse_platform(trim(platform)));
  request.append = flags.on("append");
  request.prefer_index = flags.on("prefer-index");
  request.dry_run = flags.on("dry-run");
  return request;
}

bool is_quiet(const std::string& progress) {
  if (progress == "quiet" || progress == "none") return true;
  if (progress == "auto" || progress == "plain" || progress == "tty") return false;
  throw UsageError("invalid progress type \"" + progress + "\": auto, plain, tty, quiet or none");
}

int create(Invocation& invocation) {
  const ParsedFlags& flags = invocation.flags();
  const CreateIndexRequest request = request_of(flags);
  const bool quiet = is_quiet(flags.text("progress"));
  check_builder(invocation);
  std::optional<RemoteManifest> made;
  {
    TransferView view(STDERR_FILENO, quiet ? TransferView::Loudness::Quiet : TransferView::Loudness::Normal);
    made = create_index(invocation.context(), request, view);
  }
  if (request.dry_run) {
    write_standard_out(made->bytes + "\n");
    return 0;
  }
  for (const std::string& tag : request.tags) {
    if (quiet) break;
    write_standard_error("pushed " + Reference::parse(tag).str() + " digest: " + made->descriptor.digest.str() +
                         " size: " + std::to_string(made->descriptor.size) + "\n");
  }
  if (const std::string& file = flags.text("metadata-file"); !file.empty()) {
    std::vector<std::string> names;
    for (const std::string& tag : request.tags) names.push_back(Reference::parse(tag).str());
    Json metadata = Json::object({{"containerimage.descriptor", to_json(made->descriptor)},
                                  {"containerimage.digest", made->descriptor.digest.str()},
                                  {"image.name", join(names, ",")}});
    write_file_atomic(file, metadata.dump_pretty() + "\n", Durability::Cached);
  }
  return 0;
}

}  // namespace

std::vector<CommandSpec> imagetools_command_specs() {
  return {{.words = "buildx imagetools inspect",
           .arguments = "[OPTIONS] NAME",
           .summary = "Show details of an image in the registry",
           .min_arguments = 1,
           .max_arguments = 1,
           .define_flags = define_inspect_flags,
           .run = inspect,
           .aliases = {"builder imagetools inspect"}},
          {.words = "buildx imagetools create",
           .arguments = "[OPTIONS] [SOURCE...]",
           .summary = "Create a new image based on source images",
           .define_flags = define_create_flags,
           .run = create,
           .aliases = {"builder imagetools create"}}};
}

}  // namespace ctr
