// rmi and image prune. What Docker calls a reference is a tag or a repo digest; an image goes when its last one does,
// and nothing that a container needs ever goes.

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "engine/container_store.h"
#include "engine/events.h"
#include "engine/garbage_roots.h"
#include "engine/image_names.h"
#include "engine/images.h"
#include "image/store.h"

namespace ctr {
namespace {

constexpr std::size_t kShortIdLength = 12;

std::string short_id(const std::string& id) {
  return std::string(without_prefix(id, "sha256:")).substr(0, kShortIdLength);
}

/// One removal at work: what is left of the image's references, and what was done.
class Removal {
 public:
  Removal(Context& context, StoredImage image) : context_(context), image_(std::move(image)) {}

  std::vector<RemovedImageItem> by_name(const Reference& name, RemoveForce force);
  std::vector<RemovedImageItem> by_id(RemoveForce force);

 private:
  enum class Quiet { No, Yes };

  std::size_t reference_count() const { return image_.tags.size() + image_.digests.size(); }
  bool has_single_reference() const;
  void untag(const Reference& tag);
  void forget(const RepoDigest& digest);
  void remove_all_references();
  std::optional<std::string> conflict(RemoveForce force, bool ignores_references) const;
  void remove_image(RemoveForce force, Quiet quiet);
  const ContainerRecord* first_user() const;

  Context& context_;
  StoredImage image_;
  std::vector<RemovedImageItem> items_;
  std::vector<ContainerRecord> containers_ = context_.containers().list();
};

/// At most one tag, and everything in one repository.
bool Removal::has_single_reference() const {
  if (image_.tags.size() > 1) return false;
  for (const RepoDigest& digest : image_.digests) {
    if (!image_.tags.empty() && digest.name.name() != image_.tags.front().name()) return false;
    if (digest.name.name() != image_.digests.front().name.name()) return false;
  }
  return true;
}

const ContainerRecord* Removal::first_user() const {
  const auto user = std::find_if(containers_.begin(), containers_.end(),
                                 [&](const ContainerRecord& record) { return record.image_id == image_.id; });
  return user == containers_.end() ? nullptr : &*user;
}

void Removal::untag(const Reference& tag) {
  // The last name goes only together with the image: until then it stays as one without a name.
  context_.store().images().remove(tag);
  std::erase(image_.tags, tag);
  items_.push_back({RemovedImageItem::Action::Untagged, tag.familiar()});
  context_.events().append({"image", "untag", image_.id, {{"name", image_.id}}, 0});
}

void Removal::forget(const RepoDigest& digest) {
  const Reference name = digest.name;
  context_.store().images().forget_repo_digest(name);
  std::erase_if(image_.digests, [&](const RepoDigest& other) { return other.name == name; });
  items_.push_back({RemovedImageItem::Action::Untagged, name.familiar()});
  context_.events().append({"image", "untag", image_.id, {{"name", image_.id}}, 0});
}

void Removal::remove_all_references() {
  while (!image_.tags.empty()) untag(Reference(image_.tags.front()));
  while (!image_.digests.empty()) forget(RepoDigest(image_.digests.front()));
}

/// Why the image can't go, in Docker's words; nothing if it can.
std::optional<std::string> Removal::conflict(RemoveForce force, bool ignores_references) const {
  const auto sentence = [&](const char* hardness, const std::string& why) {
    return "conflict: unable to delete " + short_id(image_.id) + " (" + hardness + ") - " + why;
  };
  for (const ContainerRecord& record : containers_) {
    if (record.image_id == image_.id && read_state(context_, record).is_running()) {
      return sentence("cannot be forced", "image is being used by running container " + short_id(record.id));
    }
  }
  if (force == RemoveForce::Yes) return std::nullopt;
  if (!ignores_references && reference_count() > 0) {
    return sentence("must be forced", "image is referenced in multiple repositories");
  }
  if (const ContainerRecord* user = first_user()) {
    return sentence("must be forced", "image is being used by stopped container " + short_id(user->id));
  }
  return std::nullopt;
}

void Removal::remove_image(RemoveForce force, Quiet quiet) {
  if (const std::optional<std::string> why = conflict(force, false)) {
    if (quiet == Quiet::No) throw Error(ErrorKind::Busy, *why);
    // Its name is gone and it is in use: it stays as an image without a name.
    for (const Descriptor& target : image_.targets) context_.store().images().set_untagged(target);
    return;
  }
  remove_all_references();
  for (const Descriptor& target : image_.targets) context_.store().images().remove_untagged(target.digest);
  items_.push_back({RemovedImageItem::Action::Deleted, image_.id});
  context_.events().append({"image", "delete", image_.id, {{"name", image_.id}}, 0});
  const GarbageReport garbage = collect_garbage(context_);
  const std::vector<Layer>& layers = image_.image.layers;
  for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
    if (std::find(garbage.layers.begin(), garbage.layers.end(), layer->diff_id) == garbage.layers.end()) continue;
    items_.push_back({RemovedImageItem::Action::Deleted, layer->chain_id.str()});
  }
}

std::vector<RemovedImageItem> Removal::by_name(const Reference& name, RemoveForce force) {
  if (force == RemoveForce::No && has_single_reference()) {
    if (const ContainerRecord* user = first_user()) {
      throw Error(ErrorKind::Busy, "conflict: unable to remove repository reference \"" + name.familiar() +
                                       "\" (must force) - container " + short_id(user->id) +
                                       " is using its referenced image " + short_id(image_.id));
    }
  }
  if (name.digest()) {
    const auto digest = std::find_if(image_.digests.begin(), image_.digests.end(),
                                     [&](const RepoDigest& other) { return other.name == name; });
    if (digest != image_.digests.end()) forget(RepoDigest(*digest));
  } else {
    untag(name);
    const bool has_other_tag = std::any_of(image_.tags.begin(), image_.tags.end(), [&](const Reference& tag) {
      return tag.name() == name.name();
    });
    for (std::size_t i = image_.digests.size(); !has_other_tag && i-- > 0;) {
      if (image_.digests[i].name.name() == name.name()) forget(RepoDigest(image_.digests[i]));
    }
  }
  if (reference_count() == 0) {
    remove_image(force, Quiet::Yes);
  } else if (image_.tags.empty()) {
    for (const Descriptor& target : image_.targets) context_.store().images().set_untagged(target);
  }
  return std::move(items_);
}

std::vector<RemovedImageItem> Removal::by_id(RemoveForce force) {
  if (has_single_reference()) {
    if (const std::optional<std::string> why = conflict(force, true)) throw Error(ErrorKind::Busy, *why);
    remove_all_references();
  }
  remove_image(force, Quiet::No);
  return std::move(items_);
}

}  // namespace

std::vector<RemovedImageItem> remove_image(Context& context, const std::string& name, RemoveForce force, PruneParents) {
  const FoundImage found = get_image(context, name, std::nullopt);
  std::optional<StoredImage> stored = find_stored(context, found.id);
  if (!stored) throw Error(ErrorKind::NotFound, "No such image: " + name);
  Removal removal(context, *std::move(stored));
  return found.reference ? removal.by_name(*found.reference, force) : removal.by_id(force);
}

ImagePruneReport prune_images(Context& context, PruneWhich which, const Filters& filters) {
  const PruneBoundary boundary(filters);
  const std::map<std::string, std::int64_t> used = used_images(context);
  const bool only_dangling = which == PruneWhich::Dangling && filters.flag("dangling", true);
  ImagePruneReport report;
  std::vector<StoredImage> gone;
  for (StoredImage& stored : stored_images(context)) {
    if (used.contains(stored.id) || (only_dangling && !stored.tags.empty())) continue;
    if (!boundary.is_older(stored.image.config.created) ||
        !filters.matches_labels(stored.image.config.defaults.labels)) {
      continue;
    }
    for (const Reference& tag : stored.tags) {
      context.store().images().remove(tag);
      report.removed.push_back({RemovedImageItem::Action::Untagged, tag.familiar()});
    }
    for (const RepoDigest& digest : stored.digests) {
      context.store().images().forget_repo_digest(digest.name);
      report.removed.push_back({RemovedImageItem::Action::Untagged, digest.name.familiar()});
    }
    for (const Descriptor& target : stored.targets) context.store().images().remove_untagged(target.digest);
    gone.push_back(std::move(stored));
  }
  const GarbageReport garbage = collect_garbage(context);
  std::set<Digest> told;
  for (const StoredImage& stored : gone) {
    report.removed.push_back({RemovedImageItem::Action::Deleted, stored.id});
    context.events().append({"image", "delete", stored.id, {{"name", stored.id}}, 0});
    for (auto layer = stored.image.layers.rbegin(); layer != stored.image.layers.rend(); ++layer) {
      const bool is_gone =
          std::find(garbage.layers.begin(), garbage.layers.end(), layer->diff_id) != garbage.layers.end();
      if (is_gone && told.insert(layer->chain_id).second) report.removed.push_back({RemovedImageItem::Action::Deleted, layer->chain_id.str()});
    }
  }
  report.space_reclaimed = garbage.bytes;
  return report;
}

}  // namespace ctr
