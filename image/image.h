// Images as values: what a name, a digest or a prefix leads to, and what is behind it. An image's id is the digest of
// its config; any digest that leads to it is accepted wherever an image is named.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "image/config.h"
#include "image/descriptor.h"
#include "image/manifest.h"
#include "image/platform.h"
#include "image/reference.h"

namespace ctr {

class Store;
class BlobStore;
class Pin;

struct Layer {
  /// As the manifest lists it: compressed if it was pulled, the canonical tar if it was built here.
  Descriptor blob;
  Digest diff_id;
  Digest chain_id;
};

struct Image {
  /// What the name stands for: an index, or the manifest itself.
  Descriptor target;
  Descriptor manifest;
  Manifest document;
  ImageConfig config;
  std::vector<Layer> layers;

  /// The digest of the config.
  const Digest& id() const noexcept { return document.config.digest; }
  std::vector<Digest> diff_ids() const { return config.diff_ids; }
};

/// Reads an image from its target. Throws NotFound when an index has no manifest for `platform` or when a blob is
/// missing (children of an index may be absent), Corrupt when layers and diff ids don't agree.
Image load_image(const BlobStore& blobs, const Descriptor& target, const Platform& platform);
/// The same; nothing where load_image throws NotFound.
std::optional<Image> find_image(const BlobStore& blobs, const Descriptor& target, const Platform& platform);

/// Every image behind a target that is here: one for a manifest, those present for an index.
std::vector<Image> load_all_images(const BlobStore& blobs, const Descriptor& target);

/// Why an image has no child for a platform, for people: "no match for platform linux/arm64; the image has
/// linux/amd64".
std::vector<Platform> platforms_of(const BlobStore& blobs, const Descriptor& target);

struct ResolvedImage {
  Descriptor target;
  /// The name that was used, if it was a name.
  std::optional<Reference> name;
};

/// Finds an image by name, by repo digest, by the digest of config, manifest or index (with or without "sha256:"), or
/// by a unique prefix of one. Nothing if there is none; throws Invalid when a prefix fits several images.
std::optional<ResolvedImage> resolve_image(const Store& store, std::string_view text);

/// The descriptor of a new image: pins and writes config and manifest blobs (not synced, not named).
Descriptor write_image(const Store& store, Pin& pin, const ImageConfig& config, const std::vector<Descriptor>& layers,
                       const Annotations& annotations = {}, std::string_view manifest_type = media_type::kOciManifest);

/// The descriptor of a canonical tar that is not compressed, for the manifest of an image that was built here.
Descriptor uncompressed_blob(const Digest& diff_id, std::uint64_t tar_size);

}  // namespace ctr
