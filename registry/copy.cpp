#include "registry/copy.h"

#include <atomic>
#include <fcntl.h>
#include <future>
#include <set>

#include "base/error.h"
#include "base/task_pool.h"
#include "base/text.h"
#include "base/trace.h"
#include "image/archive.h"
#include "image/manifest.h"
#include "image/store.h"
#include "registry/layer_pull.h"
#include "registry/pull.h"
#include "registry/push.h"

namespace ctr {
namespace {

constexpr int kDeepest = 8;

class Copy {
 public:
  Copy(ContentSource& source, ContentTarget& target, const CopyOptions& options)
      : source_(source), target_(target), options_(options) {}

  /// Everything below the manifest, then the manifest (under `tag` if given), then its referrers.
  void tree(const FetchedManifest& manifest, const std::optional<std::string>& tag, int depth) {
    if (depth > kDeepest) throw Error(ErrorKind::Invalid, "manifests are nested too deep");
    if (!done_.insert(manifest.descriptor.digest).second && !tag) return;
    ++count_;
    const ManifestOrIndex document = parse_manifest_or_index(manifest.bytes, manifest.descriptor.media_type);
    if (!target_.has_manifest(manifest.descriptor.digest)) {
      if (const auto* index = std::get_if<Index>(&document)) {
        for (const Descriptor& child : index->manifests) {
          tree(source_.manifest(child.digest.str()), std::nullopt, depth + 1);
        }
      } else {
        blobs(std::get<Manifest>(document));
      }
      if (!tag) target_.put_manifest(manifest, std::nullopt);
    }
    if (tag) target_.put_manifest(manifest, tag);
    if (options_.referrers == CopyReferrers::Follow) referrers(manifest.descriptor.digest, depth);
  }

  std::size_t count() const noexcept { return count_; }

 private:
  void referrers(const Digest& subject, int depth) {
    for (const Descriptor& referrer : source_.referrers(subject)) {
      try {
        tree(source_.manifest(referrer.digest.str()), std::nullopt, depth + 1);
      } catch (const RegistryError& error) {
        if (error.status() != 405) throw;
        // Amazon's: the image is there by now, what signs or describes it can't be.
        throw Error(ErrorKind::Invalid, "the image was copied, but the registry does not take artifacts that refer to "
                                        "an image, such as " +
                                            referrer.digest.str() + " (405); --referrers=false leaves them out");
      }
      target_.link_referrer(subject, referrer);
    }
  }

  void blobs(const Manifest& manifest) {
    std::vector<Descriptor> wanted{manifest.config};
    for (const Descriptor& layer : manifest.layers) {
      if (!is_foreign_layer_type(layer.media_type)) wanted.push_back(layer);
    }
    std::set<Digest> seen;
    std::atomic<bool> failed{false};
    std::vector<std::future<void>> tasks;
    {
      TaskPool pool(options_.parallel_blobs);
      for (const Descriptor& blob : wanted) {
        if (!seen.insert(blob.digest).second) continue;
        tasks.push_back(pool.submit([this, &blob, &failed] {
          if (failed) return;
          try {
            target_.put_blob(blob, source_, blob.digest.short_hex());
          } catch (...) {
            failed = true;
            throw;
          }
        }));
      }
    }
    for (std::future<void>& task : tasks) task.get();
  }

  ContentSource& source_;
  ContentTarget& target_;
  const CopyOptions& options_;
  std::set<Digest> done_;
  std::size_t count_ = 0;
};

TransferProgress& progress_of(const CopyOptions& options) {
  return options.progress != nullptr ? *options.progress : silent_progress();
}

std::string name_of(const CopyPlace& place) {
  if (place.kind == CopyPlace::Kind::Layout) return place.tag;
  return place.reference->digest() ? place.reference->digest()->str() : place.reference->tag();
}

std::unique_ptr<ContentSource> open_source(RegistrySession& session, const CopyPlace& place) {
  if (place.kind == CopyPlace::Kind::Layout) return layout_source(place.path);
  return registry_source(session, place.reference->host(), place.reference->repository());
}

std::unique_ptr<ContentTarget> open_target(RegistrySession& session, const CopyPlace& place,
                                           TransferProgress& progress) {
  if (place.kind == CopyPlace::Kind::Layout) return layout_target(place.path, progress);
  return registry_target(session, place.reference->host(), place.reference->repository(), progress);
}

// Of an index the one manifest for a platform, as it is.
FetchedManifest choose(ContentSource& source, FetchedManifest manifest, const std::optional<Platform>& platform) {
  while (platform && manifest.descriptor.is_index()) {
    const Index index = parse_index(manifest.bytes, manifest.descriptor.media_type);
    const auto child = choose_manifest(index, *platform);
    if (!child) throw Error(ErrorKind::NotFound, "the image has no manifest for " + platform->str());
    manifest = source.manifest(child->digest.str());
  }
  return manifest;
}

// Archives are made and read by the store's own code, in a store that lives as long as the copy: nothing is mounted.
struct ScratchStore {
  TempDirectory directory;
  Store store{directory.path() / "root", directory.path() / "run", LayerFormat::Directory};
};

CopyResult save_to_archive(RegistrySession& session, const CopyPlace& source, const CopyPlace& destination,
                           const CopyOptions& options) {
  if (source.kind != CopyPlace::Kind::Registry) {
    throw Error(ErrorKind::Invalid, "an archive is copied to from a registry only");
  }
  ScratchStore scratch;
  PullOptions pull;
  pull.platform = options.platform;
  pull.progress = options.progress;
  const PullResult pulled = pull_image(scratch.store, session, *source.reference, pull);
  ImageToSave image{{destination.reference.value_or(*source.reference)}, pulled.manifest};
  if (image.names.front().digest()) image.names.clear();
  const Fd file = open_file(destination.path, O_WRONLY | O_CREAT | O_TRUNC);
  FdSink sink(file.get());
  save_images(scratch.store, {image}, std::nullopt, sink);
  return {pulled.manifest, 1};
}

CopyResult load_from_archive(RegistrySession& session, const CopyPlace& source, const CopyPlace& destination,
                             const CopyOptions& options) {
  if (destination.kind != CopyPlace::Kind::Registry) {
    throw Error(ErrorKind::Invalid, "an archive is copied to a registry only");
  }
  ScratchStore scratch;
  const Fd file = open_file(source.path, O_RDONLY);
  FdSource bytes(file.get());
  const std::vector<LoadedImage> images = load_images(scratch.store, bytes, std::nullopt);
  const LoadedImage* chosen = images.size() == 1 ? &images.front() : nullptr;
  for (const LoadedImage& image : images) {
    for (const Reference& name : image.names) {
      if (source.reference && name == *source.reference) chosen = &image;
    }
  }
  if (chosen == nullptr) {
    throw Error(ErrorKind::NotFound,
                source.path.native() + " holds " + std::to_string(images.size()) + " images: name one with :NAME");
  }
  PushOptions push;
  push.platform = options.platform;
  push.progress = options.progress;
  return {push_image(scratch.store, session, chosen->target, *destination.reference, push).target, 1};
}

}  // namespace

CopyPlace parse_copy_place(std::string_view text) {
  CopyPlace place;
  const auto path_and_rest = [](std::string_view rest) {
    const std::size_t colon = rest.find(':');
    return std::make_pair(std::string(rest.substr(0, colon)),
                          colon == std::string_view::npos ? std::string() : std::string(rest.substr(colon + 1)));
  };
  if (text.starts_with("oci:")) {
    place.kind = CopyPlace::Kind::Layout;
    const auto [path, tag] = path_and_rest(text.substr(4));
    place.path = path;
    place.tag = tag;
  } else if (text.starts_with("docker-archive:") || text.starts_with("oci-archive:")) {
    place.kind = CopyPlace::Kind::Archive;
    const auto [path, name] = path_and_rest(text.substr(text.find(':') + 1));
    place.path = path;
    if (!name.empty()) place.reference = Reference::parse(name);
  } else {
    for (const std::string_view form : {"dir:", "containers-storage:", "docker-daemon:", "ostree:", "sif:"}) {
      if (text.starts_with(form)) {
        throw Error(ErrorKind::Invalid, "copy does not know the form " + std::string(form) +
                                            " (it knows registries, oci:, docker-archive: and oci-archive:)");
      }
    }
    place.reference = Reference::parse(without_prefix(text, "docker://"));
    return place;
  }
  if (place.path.empty()) throw Error(ErrorKind::Invalid, std::string(text) + " names no path");
  return place;
}

CopyResult copy_image(RegistrySession& session, const CopyPlace& source, const CopyPlace& destination,
                      const CopyOptions& options) {
  const TraceSpan span("copy");
  if (destination.kind == CopyPlace::Kind::Archive) return save_to_archive(session, source, destination, options);
  if (source.kind == CopyPlace::Kind::Archive) return load_from_archive(session, source, destination, options);
  const std::unique_ptr<ContentSource> from = open_source(session, source);
  const std::unique_ptr<ContentTarget> to = open_target(session, destination, progress_of(options));
  const FetchedManifest manifest = choose(*from, from->manifest(name_of(source)), options.platform);
  Copy copy(*from, *to, options);
  const bool by_digest = destination.reference && destination.reference->digest();
  if (by_digest && *destination.reference->digest() != manifest.descriptor.digest) {
    throw Error(ErrorKind::Invalid,
                "the destination's digest is not that of the image, " + manifest.descriptor.digest.str());
  }
  copy.tree(manifest, by_digest ? std::nullopt : std::optional<std::string>(name_of(destination)), 0);
  to->finish();
  return {manifest.descriptor, copy.count()};
}

void copy_tree(ContentSource& source, ContentTarget& target, const Descriptor& manifest, const CopyOptions& options) {
  Copy(source, target, options).tree(source.manifest(manifest.digest.str()), std::nullopt, 0);
}

}  // namespace ctr
