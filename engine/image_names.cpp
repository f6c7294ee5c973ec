#include "engine/image_names.h"

#include <algorithm>

#include "engine/container_store.h"
#include "engine/images.h"
#include "image/store.h"

namespace ctr {
namespace {

/// The image that stands for a target, as commands without --platform see it.
std::optional<std::size_t> choose(const std::vector<Image>& images, const Platform& platform) {
  if (images.empty()) return std::nullopt;
  std::size_t best = 0;
  int best_score = -1;
  for (std::size_t i = 0; i < images.size(); ++i) {
    const int score = platform_score(platform, images[i].config.platform);
    if (score > best_score) {
      best = i;
      best_score = score;
    }
  }
  return best;
}

void add_unique(std::vector<Descriptor>& targets, const Descriptor& target) {
  const bool is_known = std::any_of(targets.begin(), targets.end(),
                                    [&](const Descriptor& other) { return other.digest == target.digest; });
  if (!is_known) targets.push_back(target);
}

}  // namespace

std::vector<std::string> StoredImage::repo_tags() const {
  std::vector<std::string> texts;
  for (const Reference& tag : tags) texts.push_back(tag.familiar());
  return texts;
}

std::vector<std::string> StoredImage::repo_digests() const {
  std::vector<std::string> texts;
  for (const RepoDigest& digest : digests) texts.push_back(digest.name.familiar());
  return texts;
}

std::vector<StoredImage> stored_images(Context& context) {
  const Store& store = context.store();
  const Platform platform = default_platform(context);
  const std::vector<RepoDigest> repo_digests = store.images().repo_digests();
  std::vector<StoredImage> found;
  std::map<std::string, std::size_t> by_id;
  std::map<Digest, std::size_t> by_target;
  for (const NamedImage& named : store.images().list()) {
    const auto known = by_target.find(named.target.digest);
    if (known != by_target.end()) {
      if (named.name) found[known->second].tags.push_back(*named.name);
      continue;
    }
    std::vector<Image> images = load_all_images(store.blobs(), named.target);
    const std::optional<std::size_t> chosen = choose(images, platform);
    if (!chosen) continue;
    const std::string id = images[*chosen].id().str();
    const auto [place, is_new] = by_id.try_emplace(id, found.size());
    if (is_new) {
      found.push_back({id, images[*chosen], {}, {}, {}, {}});
      for (const Image& image : images) found.back().platforms.push_back(image.config.platform);
    }
    StoredImage& stored = found[place->second];
    by_target[named.target.digest] = place->second;
    add_unique(stored.targets, named.target);
    if (named.name) stored.tags.push_back(*named.name);
  }
  for (const RepoDigest& digest : repo_digests) {
    const auto holder = by_target.find(digest.local);
    if (holder != by_target.end()) {
      found[holder->second].digests.push_back(digest);
      continue;
    }
    for (StoredImage& stored : found) {
      if (stored.image.manifest.digest == digest.local) stored.digests.push_back(digest);
    }
  }
  return found;
}

std::optional<StoredImage> find_stored(Context& context, const std::string& id) {
  for (StoredImage& stored : stored_images(context)) {
    if (stored.id == id) return std::move(stored);
  }
  return std::nullopt;
}

std::uint64_t content_size(Context& context, const Image& image) {
  std::uint64_t size = 0;
  for (const Layer& layer : image.layers) {
    if (const std::optional<LayerInfo> info = context.store().layers().find(layer.diff_id)) size += info->content_size;
  }
  return size;
}

std::map<std::string, std::int64_t> used_images(Context& context) {
  std::map<std::string, std::int64_t> used;
  for (const ContainerRecord& record : context.containers().list()) ++used[record.image_id];
  return used;
}

}  // namespace ctr
