// ctr manifest: lists of manifests, put together here and pushed, as Docker's manifest command does it.
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "cli/buildx_commands.h"
#include "cli/each_argument.h"
#include "cli/output.h"
#include "cli/transfer_view.h"
#include "engine/manifest_lists.h"

namespace ctr {

namespace {

RegistryTrust trust_of(const ParsedFlags& flags) {
  return flags.on("insecure") ? RegistryTrust::Insecure : RegistryTrust::Configured;
}

void define_insecure_flag(FlagTable& flags) {
  flags.toggle("insecure", 0, "Allow communication with an insecure registry");
}

// ---- create, annotate ----

void define_create_flags(FlagTable& flags) {
  flags.toggle("amend", 'a', "Amend an existing manifest list");
  define_insecure_flag(flags);
}

int create(Invocation& invocation) {
  const ParsedFlags& flags = invocation.flags();
  const std::vector<std::string> manifests(flags.arguments().begin() + 1, flags.arguments().end());
  const ManifestList list = create_manifest_list(invocation.context(), flags.arguments().front(), manifests,
                                                 flags.on("amend") ? ListAmend::Yes : ListAmend::No, trust_of(flags));
  write_standard_out("Created manifest list " + list.name.str() + "\n");
  return 0;
}

void define_annotate_flags(FlagTable& flags) {
  flags.text("arch", 0, "string", "Set architecture");
  flags.text("os", 0, "string", "Set operating system");
  flags.list("os-features", 0, "strings", "Set operating system feature");
  flags.text("os-version", 0, "string", "Set operating system version");
  flags.text("variant", 0, "string", "Set architecture variant");
}

int annotate(Invocation& invocation) {
  const ParsedFlags& flags = invocation.flags();
  PlatformChange change{flags.text("os"), flags.text("arch"), flags.text("variant"), flags.text("os-version"), {}};
  for (const std::string& text : flags.list("os-features"))
    for (const std::string& feature : split(text, ',')) change.os_features.push_back(feature);
  annotate_manifest_list(invocation.context(), flags.arguments()[0], flags.arguments()[1], change);
  return 0;
}

// ---- inspect ----

void define_inspect_flags(FlagTable& flags) {
  define_insecure_flag(flags);
  flags.toggle("verbose", 'v', "Output additional info including layers and platform");
}

/// What `-v` shows of one manifest.
Json verbose_document(RegistryIndexes& registries, const Reference& repository, Descriptor descriptor) {
  const RemoteManifest manifest = registries.fetch(repository.with_digest(descriptor.digest));
  if (!descriptor.platform) descriptor = registries.parts_of(manifest).front().descriptor;
  Json document = Json::object({{"Ref", repository.str()}});
  document["Descriptor"] = to_json(descriptor);
  document[is_docker_type(descriptor.media_type) ? "SchemaV2Manifest" : "OCIManifest"] = Json::parse(manifest.bytes, "manifest");
  return document;
}

Json verbose_documents(RegistryIndexes& registries, const RemoteManifest& image) {
  if (!image.descriptor.is_index()) return verbose_document(registries, image.reference, image.descriptor);
  Json all = Json::array();
  for (const Descriptor& child : parse_index(image.bytes, image.descriptor.media_type).manifests)
    all.push_back(verbose_document(registries, image.reference, child));
  return all;
}

Json inspected(Invocation& invocation, RegistryIndexes& registries) {
  const ParsedFlags& flags = invocation.flags();
  const std::string& name = flags.arguments().back();
  if (flags.arguments().size() == 1) {
    if (const auto list = find_manifest_list(invocation.context(), name)) {
      if (!flags.on("verbose")) return Json::parse(serialise(index_of(*list)), name);
      Json all = Json::array();
      for (const ListedManifest& each : list->manifests)
        all.push_back(verbose_document(registries, each.reference, each.descriptor));
      return all;
    }
  } else {
    const auto list = find_manifest_list(invocation.context(), flags.arguments().front());
    if (!list) throw Error(ErrorKind::NotFound, "No such manifest: " + flags.arguments().front());
    const Reference wanted = Reference::parse(name);
    for (const ListedManifest& each : list->manifests) {
      if (each.reference != wanted) continue;
      if (flags.on("verbose")) return verbose_document(registries, each.reference, each.descriptor);
      return Json::parse(registries.fetch(each.reference.with_digest(each.descriptor.digest)).bytes, name);
    }
    throw Error(ErrorKind::NotFound, "No such manifest: " + name);
  }
  const RemoteManifest image = registries.fetch(Reference::parse(name));
  return flags.on("verbose") ? verbose_documents(registries, image) : Json::parse(image.bytes, name);
}

int inspect(Invocation& invocation) {
  RegistryIndexes registries(invocation.context(), trust_of(invocation.flags()));
  write_standard_out(inspected(invocation, registries).dump_pretty(4) + "\n");
  return 0;
}

// ---- push, rm ----

void define_push_flags(FlagTable& flags) {
  define_insecure_flag(flags);
  flags.toggle("purge", 'p', "Remove the local manifest list after push");
}

int push(Invocation& invocation) {
  const ParsedFlags& flags = invocation.flags();
  const std::string& name = flags.arguments().front();
  std::optional<Digest> digest;
  {
    TransferView view(STDERR_FILENO, TransferView::Loudness::Normal);
    digest = push_manifest_list(invocation.context(), name, trust_of(flags), view);
  }
  if (flags.on("purge")) remove_manifest_list(invocation.context(), name);
  write_standard_out(digest->str() + "\n");
  return 0;
}

int remove(Invocation& invocation) {
  return for_each_argument(invocation, [&](const std::string& name) {
    remove_manifest_list(invocation.context(), name);
    return std::string();
  });
}

CommandSpec spec(std::string words, std::string arguments, std::string summary, std::size_t least, std::size_t most,
                 void (*define)(FlagTable&), int (*run)(Invocation&)) {
  return {.words = std::move(words), .arguments = std::move(arguments), .summary = std::move(summary),
          .min_arguments = least, .max_arguments = most, .define_flags = define, .run = run};
}

}  // namespace

std::vector<CommandSpec> manifest_command_specs() {
  return {spec("manifest create", "[OPTIONS] MANIFEST_LIST MANIFEST [MANIFEST...]",
               "Create a local manifest list for annotating and pushing to a registry", 2, kAnyNumber, define_create_flags, create),
          spec("manifest annotate", "[OPTIONS] MANIFEST_LIST MANIFEST", "Add additional information to a local image manifest",
               2, 2, define_annotate_flags, annotate),
          spec("manifest inspect", "[OPTIONS] [MANIFEST_LIST] MANIFEST", "Display an image manifest, or manifest list", 1, 2,
               define_inspect_flags, inspect),
          spec("manifest push", "[OPTIONS] MANIFEST_LIST", "Push a manifest list to a repository", 1, 1, define_push_flags, push),
          spec("manifest rm", "MANIFEST_LIST [MANIFEST_LIST...]", "Delete one or more manifest lists from local storage", 1,
               kAnyNumber, nullptr, remove)};
}

}  // namespace ctr
