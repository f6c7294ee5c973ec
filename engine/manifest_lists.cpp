#include "engine/manifest_lists.h"

#include <algorithm>

#include "base/error.h"
#include "base/file.h"

namespace ctr {
namespace {

constexpr int kListVersion = 1;
constexpr std::uint64_t kListLimit = 4 * kMiB;

fs::path file_of(const Context& context, const Reference& name) {
  return context.paths().root / "manifests" / (Digest::of(name.str()).hex() + ".json");
}

std::optional<ManifestList> find_list(const Context& context, const Reference& name) {
  const fs::path file = file_of(context, name);
  const auto text = find_file(file, kListLimit);
  if (!text) return std::nullopt;
  const Json json = Json::parse(*text, file.native());
  if (json.require_int("v") != kListVersion) throw Error(ErrorKind::Invalid, file.native() + " is of another version of ctr");
  ManifestList list{name, {}};
  for (const Json& entry : json.at("manifests").as_array())
    list.manifests.push_back({Reference::parse(entry.require_string("reference")),
                              descriptor_from_json(entry.at("descriptor"), file.native())});
  return list;
}

ManifestList get_list(const Context& context, const std::string& name) {
  auto list = find_list(context, Reference::parse(name));
  if (!list) throw Error(ErrorKind::NotFound, "No such manifest: " + Reference::parse(name).familiar());
  return *std::move(list);
}

void save(const Context& context, const ManifestList& list) {
  Json json = Json::object({{"v", kListVersion}, {"name", list.name.str()}});
  Json manifests = Json::array();
  for (const ListedManifest& each : list.manifests) {
    Json entry = Json::object({{"reference", each.reference.str()}});
    entry["descriptor"] = to_json(each.descriptor);
    manifests.push_back(std::move(entry));
  }
  json["manifests"] = std::move(manifests);
  const fs::path file = file_of(context, list.name);
  make_directories(file.parent_path());
  write_file_atomic(file, json.dump(), Durability::Synced);
}

ListedManifest* find_manifest(ManifestList& list, const Reference& reference) {
  const auto found = std::find_if(list.manifests.begin(), list.manifests.end(),
                                  [&](const ListedManifest& each) { return each.reference == reference; });
  return found == list.manifests.end() ? nullptr : &*found;
}

std::vector<IndexPart> parts_of(const ManifestList& list) {
  std::vector<IndexPart> parts;
  for (const ListedManifest& each : list.manifests) parts.push_back({each.reference, each.descriptor});
  return parts;
}

}  // namespace

ManifestList create_manifest_list(Context& context, const std::string& name, const std::vector<std::string>& manifests,
                                  ListAmend amend, RegistryTrust trust) {
  const Reference target = Reference::parse(name);
  auto known = find_list(context, target);
  if (known && amend == ListAmend::No)
    throw Error(ErrorKind::Exists, "refusing to amend an existing manifest list with no --amend flag");
  ManifestList list = known ? *std::move(known) : ManifestList{target, {}};
  RegistryIndexes registries(context, trust);
  for (const std::string& text : manifests) {
    const Reference reference = Reference::parse(text);
    const RemoteManifest remote = registries.fetch(reference);
    if (remote.descriptor.is_index()) throw Error(ErrorKind::Invalid, reference.familiar() + " is a manifest list");
    const ListedManifest entry{reference, registries.parts_of(remote).front().descriptor};
    if (ListedManifest* old = find_manifest(list, reference)) {
      *old = entry;
    } else {
      list.manifests.push_back(entry);
    }
  }
  save(context, list);
  return list;
}

void annotate_manifest_list(Context& context, const std::string& name, const std::string& manifest,
                            const PlatformChange& change) {
  ManifestList list = get_list(context, name);
  const Reference reference = Reference::parse(manifest);
  ListedManifest* entry = find_manifest(list, reference);
  if (entry == nullptr)
    throw Error(ErrorKind::NotFound, "manifest for image " + reference.familiar() + " does not exist in " + list.name.familiar());
  Platform platform = entry->descriptor.platform.value_or(Platform{});
  if (!change.os.empty()) platform.os = change.os;
  if (!change.architecture.empty()) platform.architecture = change.architecture;
  if (!change.variant.empty()) platform.variant = change.variant;
  if (!change.os_version.empty()) platform.os_version = change.os_version;
  for (const std::string& feature : change.os_features)
    if (std::find(platform.os_features.begin(), platform.os_features.end(), feature) == platform.os_features.end())
      platform.os_features.push_back(feature);
  entry->descriptor.platform = platform;
  save(context, list);
}

std::optional<ManifestList> find_manifest_list(Context& context, const std::string& name) {
  return find_list(context, Reference::parse(name));
}

Index index_of(const ManifestList& list) { return index_of(parts_of(list), {}); }

Digest push_manifest_list(Context& context, const std::string& name, RegistryTrust trust, TransferProgress& progress) {
  const ManifestList list = get_list(context, name);
  if (list.manifests.empty()) throw Error(ErrorKind::Invalid, list.name.familiar() + " has no manifests");
  for (const ListedManifest& each : list.manifests)
    if (!each.descriptor.platform || each.descriptor.platform->os.empty() || each.descriptor.platform->architecture.empty())
      throw Error(ErrorKind::Invalid, "manifest " + each.reference.familiar() +
                                          " must have an OS and Architecture to be pushed to a registry: use manifest annotate");
  const Index index = index_of(list);
  const std::string text = serialise(index);
  RegistryIndexes registries(context, trust);
  const RemoteManifest document{list.name, describe(index.media_type, text), text};
  registries.put(list.name, document, parts_of(list), progress);
  return document.descriptor.digest;
}

void remove_manifest_list(Context& context, const std::string& name) {
  const ManifestList list = get_list(context, name);
  remove_tree(file_of(context, list.name));
}

}  // namespace ctr
