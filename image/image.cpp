#include "image/image.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "image/store.h"

namespace ctr {

namespace {

constexpr std::size_t kShortestPrefix = 1;

bool is_hex(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::string list_platforms(const Index& index) {
  std::string result;
  for (const Descriptor& child : index.manifests) {
    if (is_attestation(child) || !child.platform) continue;
    if (!result.empty()) result += ", ";
    result += child.platform->str();
  }
  return result.empty() ? "none" : result;
}

Descriptor child_for(const Index& index, const Platform& platform) {
  if (std::optional<Descriptor> child = choose_manifest(index, platform)) return std::move(*child);
  throw Error(ErrorKind::NotFound,
              "no match for platform " + platform.str() + ": the image has " + list_platforms(index));
}

Image load_manifest(const BlobStore& blobs, const Descriptor& target, const Descriptor& manifest) {
  Manifest document = parse_manifest(blobs.read(manifest.digest, kManifestLimit), manifest.media_type);
  if (!is_config_type(document.config.media_type) && !document.config.media_type.empty())
    throw Error(ErrorKind::Invalid,
                "this is no container image but an artifact of type " +
                    (document.artifact_type.empty() ? document.config.media_type : document.artifact_type));
  ImageConfig config = parse_image_config(blobs.read(document.config.digest, kConfigLimit));
  if (document.layers.size() != config.diff_ids.size())
    throw Error(ErrorKind::Corrupt, "image " + document.config.digest.str() + ": its manifest lists " +
                                        std::to_string(document.layers.size()) + " layers, its config " +
                                        std::to_string(config.diff_ids.size()));
  Image image{target, manifest, std::move(document), std::move(config), {}};
  const std::vector<Digest> chains = chain_ids(image.config.diff_ids);
  for (std::size_t i = 0; i < chains.size(); ++i)
    image.layers.push_back({image.document.layers[i], image.config.diff_ids[i], chains[i]});
  return image;
}

}  // namespace

Image load_image(const BlobStore& blobs, const Descriptor& target, const Platform& platform) {
  if (!target.is_index()) return load_manifest(blobs, target, target);
  const Index index = parse_index(blobs.read(target.digest, kManifestLimit), target.media_type);
  return load_manifest(blobs, target, child_for(index, platform));
}

std::optional<Image> find_image(const BlobStore& blobs, const Descriptor& target, const Platform& platform) {
  try {
    return load_image(blobs, target, platform);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::NotFound) return std::nullopt;
    throw;
  }
}

std::vector<Image> load_all_images(const BlobStore& blobs, const Descriptor& target) {
  std::vector<Image> result;
  if (!blobs.has(target.digest)) return result;
  std::vector<Descriptor> manifests{target};
  if (target.is_index())
    manifests = parse_index(blobs.read(target.digest, kManifestLimit), target.media_type).manifests;
  for (const Descriptor& manifest : manifests) {
    if (is_attestation(manifest) || !manifest.is_manifest() || !blobs.has(manifest.digest)) continue;
    try {
      result.push_back(load_manifest(blobs, target, manifest));
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::NotFound && error.kind() != ErrorKind::Invalid) throw;
    }
  }
  return result;
}

std::vector<Platform> platforms_of(const BlobStore& blobs, const Descriptor& target) {
  std::vector<Platform> result;
  if (!target.is_index()) {
    for (const Image& image : load_all_images(blobs, target)) result.push_back(image.config.platform);
    return result;
  }
  for (const Descriptor& child : parse_index(blobs.read(target.digest, kManifestLimit), target.media_type).manifests) {
    if (!is_attestation(child) && child.platform) result.push_back(*child.platform);
  }
  return result;
}

namespace {

// Every digest that leads to a target: its own, its manifests', their configs'.
std::vector<Digest> digests_of(const BlobStore& blobs, const Descriptor& target) {
  std::vector<Digest> result{target.digest};
  for (const Image& image : load_all_images(blobs, target)) {
    result.push_back(image.manifest.digest);
    result.push_back(image.id());
  }
  return result;
}

std::optional<ResolvedImage> find_by_digest(const Store& store, std::string_view hex) {
  std::optional<ResolvedImage> result;
  std::set<Digest> matches;
  for (const NamedImage& image : store.images().list()) {
    const std::vector<Digest> digests = digests_of(store.blobs(), image.target);
    const bool is_match =
        std::ranges::any_of(digests, [&](const Digest& digest) { return digest.hex().starts_with(hex); });
    if (!is_match) continue;
    // Several names of one image are one match; so are an image and the index around it.
    const Digest& id = digests.back();
    if (!matches.empty() && !matches.contains(id))
      throw Error(ErrorKind::Invalid, "multiple IDs found with provided prefix: " + std::string(hex));
    matches.insert(id);
    if (!result) result = ResolvedImage{image.target, std::nullopt};
  }
  return result;
}

std::optional<ResolvedImage> find_by_name(const Store& store, std::string_view text) {
  const std::optional<Reference> name = Reference::try_parse(text);
  if (!name) return std::nullopt;
  if (std::optional<Descriptor> target = store.images().find(*name)) return ResolvedImage{std::move(*target), *name};
  if (!name->digest()) return std::nullopt;
  // name@digest, where the name has that digest by another way (a tag, or an image that was built here).
  for (const NamedImage& image : store.images().list()) {
    if (!image.name || image.name->name() != name->name()) continue;
    const std::vector<Digest> digests = digests_of(store.blobs(), image.target);
    if (std::ranges::find(digests, *name->digest()) != digests.end()) return ResolvedImage{image.target, *image.name};
  }
  return std::nullopt;
}

// A repo digest may name a manifest that exists at the registry alone: it leads to the image that was pushed there.
std::optional<ResolvedImage> find_by_repo_digest(const Store& store, const Digest& digest) {
  for (const RepoDigest& known : store.images().repo_digests()) {
    if (known.remote.digest != digest) continue;
    if (std::optional<Descriptor> target = store.images().find(known.name)) return ResolvedImage{*target, std::nullopt};
  }
  return std::nullopt;
}

}  // namespace

std::optional<ResolvedImage> resolve_image(const Store& store, std::string_view text) {
  std::string_view hex = text;
  const bool is_digest = text.starts_with("sha256:");
  if (is_digest) hex.remove_prefix(7);
  const bool may_be_id = hex.size() >= kShortestPrefix && hex.size() <= Digest::kHexLength && is_hex(hex);
  const bool is_whole = may_be_id && hex.size() == Digest::kHexLength;
  if (!is_digest && !is_whole) {
    if (std::optional<ResolvedImage> found = find_by_name(store, text)) return found;
  }
  if (!may_be_id) return std::nullopt;
  if (std::optional<ResolvedImage> found = find_by_digest(store, hex)) return found;
  const std::optional<Digest> whole = Digest::from_hex(hex);
  return whole ? find_by_repo_digest(store, *whole) : std::nullopt;
}

Descriptor write_image(const Store& store, Pin& pin, const ImageConfig& config, const std::vector<Descriptor>& layers,
                       const Annotations& annotations, std::string_view manifest_type) {
  const std::string_view config_type =
      is_docker_type(manifest_type) ? media_type::kDockerConfig : media_type::kOciConfig;
  const std::string config_text = serialise_image_config(config);
  Manifest manifest{std::string(manifest_type), describe(config_type, config_text), layers};
  manifest.annotations = annotations;
  const std::string manifest_text = serialise(manifest);
  Descriptor descriptor = describe(manifest_type, manifest_text);
  pin.add({manifest.config.digest, descriptor.digest});
  store.blobs().put(config_type, config_text);
  store.blobs().put(manifest_type, manifest_text);
  descriptor.platform = config.platform;
  return descriptor;
}

Descriptor uncompressed_blob(const Digest& diff_id, std::uint64_t tar_size) {
  return Descriptor{std::string(media_type::kOciLayer), diff_id, tar_size};
}

}  // namespace ctr
