// How images are called: the tags and repo digests of everything in the store, grouped by what they lead to. Made once
// for a command that lists, inspects or removes.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "engine/context.h"
#include "image/image.h"
#include "image/image_store.h"

namespace ctr {

struct StoredImage {
  std::string id;  // "sha256:…" of the config for the platform that commands mean
  Image image;
  std::vector<Descriptor> targets;  // an image may be reached by an index and by its manifest
  std::vector<Reference> tags;
  std::vector<RepoDigest> digests;
  std::vector<Platform> platforms;  // present in the store

  std::vector<std::string> repo_tags() const;
  std::vector<std::string> repo_digests() const;
};

/// Every image of the store that has a name or is kept without one. Targets whose blobs are missing are left out.
std::vector<StoredImage> stored_images(Context& context);

/// The one with that id, if it is named or kept at all.
std::optional<StoredImage> find_stored(Context& context, const std::string& id);

/// Bytes of the files of its layers, as far as they are in the store.
std::uint64_t content_size(Context& context, const Image& image);

/// Syncs the store and gives a new image its name, or keeps it without one.
void name_new_image(Context& context, const Descriptor& target, const std::string& reference);

/// Ids of images that containers were made from, with the number of containers.
std::map<std::string, std::int64_t> used_images(Context& context);

}  // namespace ctr
