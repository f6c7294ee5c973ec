#include "builder/base_images.h"

#include <fcntl.h>

#include "base/error.h"
#include "base/rooted_path.h"
#include "image/layer_ingest.h"
#include "image/manifest.h"

namespace ctr {

namespace {

/// "linux/amd64, linux/arm64"
std::string platform_list(const std::vector<Platform>& platforms) {
  std::string result;
  for (const Platform& platform : platforms) result += (result.empty() ? "" : ", ") + platform.str();
  return result;
}

/// The lines of a pull below a step.
ByteProgress pull_progress(StepReporter& reporter, StepNumber step) {
  return [&reporter, step](std::string_view item, std::uint64_t current, std::uint64_t total) {
    reporter.status(step, {.text = std::string(item),
                           .current = current,
                           .total = total,
                           .is_bytes = true,
                           .is_done = total != 0 && current >= total});
  };
}

}  // namespace

BaseImages::Found BaseImages::load(const Reference& reference, const std::string& name, const Platform& platform,
                                   StepNumber step) {
  std::optional<Descriptor> target;
  if (request_.base_policy == BasePolicy::PreferLocal) {
    if (const auto resolved = resolve_image(store_, name)) target = resolved->target;
  }
  if (target) {
    pin_.add(target->digest);
    if (auto image = find_image(store_.blobs(), *target, platform)) return {reference, std::move(*image)};
  }
  if (!services_.pull_metadata) {
    if (target)
      throw Error(ErrorKind::NotFound, name + ": no match for platform " + platform.str() + "; the image has " +
                                           platform_list(platforms_of(store_.blobs(), *target)));
    throw Error(ErrorKind::NotFound, reference.str() + ": not found");
  }
  target = services_.pull_metadata(reference, platform, pull_progress(reporter_, step));
  pin_.add(target->digest);
  return {reference, load_image(store_.blobs(), *target, platform)};
}

BaseImage BaseImages::find(const std::string& name, const Platform& platform) {
  const std::string key = name + "\n" + normalised(platform).str();
  if (const auto known = known_.find(key); known != known_.end()) return known->second;
  const Reference reference =
      in_context("failed to parse stage name \"" + name + "\"", [&] { return Reference::parse(name); });
  const std::string prefix =
      request_.platforms.size() > 1 ? "[" + platform.str() + " internal]" : std::string("[internal]");
  ReportedStep step(reporter_, prefix + " load metadata for " + reference.str());
  std::optional<Found> loaded;
  try {
    loaded = load(reference, name, platform, step.number());
  } catch (const std::exception& error) {
    step.failed(error.what());
    throw;
  }
  step.done();
  Found& found = *loaded;
  std::string shown = reference.str();
  if (!reference.digest()) shown += "@" + found.image.target.digest.str();
  return known_.emplace(key, remember(std::move(found), shown)).first->second;
}

BaseImage BaseImages::find_built(const std::string& target, const Descriptor& image, const Platform& platform) {
  const std::string shown = "target:" + target;
  const std::string key = shown + "\n" + platform.str();
  if (const auto known = known_.find(key); known != known_.end()) return known->second;
  pin_.add(image.digest);
  Found found{Reference::parse("target"), load_image(store_.blobs(), image, platform)};
  return known_.emplace(key, remember(std::move(found), shown)).first->second;
}

BaseImage BaseImages::remember(Found found, const std::string& shown_name) {
  pin_.add(found.image.manifest.digest);
  BaseImage result{shown_name, found.image.manifest.digest, found.image.config};
  found_.push_back(std::move(found));
  return result;
}

namespace {

void import_blob(const BlobStore& blobs, int layout, const Descriptor& descriptor) {
  auto writer = blobs.ingest(descriptor.digest);
  if (!writer) return;
  const Fd file = open_in_root(layout, "blobs/sha256/" + descriptor.digest.hex(), O_RDONLY);
  FdSource source(file.get());
  writer->restart();
  copy_all(source, *writer, descriptor.size);
  std::move(*writer).commit(descriptor.media_type, descriptor.size);
}

bool is_wanted(const Descriptor& descriptor, const OciLayoutSource& layout) {
  if (!layout.digest.empty()) return descriptor.digest.str() == layout.digest;
  const auto name = descriptor.annotations.find("org.opencontainers.image.ref.name");
  const std::string tag = layout.tag.empty() ? "latest" : layout.tag;
  return name != descriptor.annotations.end() && (name->second == tag || name->second.ends_with(":" + tag));
}

}  // namespace

BaseImage BaseImages::find_in_layout(const OciLayoutSource& layout, const Platform& platform) {
  const std::string shown = "oci-layout://" + layout.path + (layout.tag.empty() ? "" : ":" + layout.tag) +
                            (layout.digest.empty() ? "" : "@" + layout.digest);
  const std::string key = shown + "\n" + platform.str();
  if (const auto known = known_.find(key); known != known_.end()) return known->second;
  const Fd directory = open_directory(layout.path);
  const Fd index_file = open_in_root(directory.get(), "index.json", O_RDONLY);
  const Index index = parse_index(read_fd(index_file.get(), kManifestLimit, layout.path + "/index.json"));
  std::optional<Descriptor> target;
  for (const Descriptor& each : index.manifests)
    if (is_wanted(each, layout) || (index.manifests.size() == 1 && layout.digest.empty() && layout.tag.empty())) target = each;
  if (!target) throw Error(ErrorKind::NotFound, shown + ": not found");

  pin_.add(target->digest);
  import_blob(store_.blobs(), directory.get(), *target);
  Descriptor manifest = *target;
  if (target->is_index()) {
    const auto chosen = choose_manifest(
        parse_index(store_.blobs().read(target->digest, kManifestLimit), target->media_type), platform);
    if (!chosen) throw Error(ErrorKind::NotFound, shown + ": no match for platform " + platform.str());
    manifest = *chosen;
    import_blob(store_.blobs(), directory.get(), manifest);
  }
  const Manifest document = parse_manifest(store_.blobs().read(manifest.digest, kManifestLimit), manifest.media_type);
  import_blob(store_.blobs(), directory.get(), document.config);
  for (const Descriptor& layer : document.layers) import_blob(store_.blobs(), directory.get(), layer);
  Found found{Reference::parse("oci-layout"), load_image(store_.blobs(), manifest, platform)};
  return known_.emplace(key, remember(std::move(found), shown)).first->second;
}

void BaseImages::offer_layers(BuildExecutor& executor) const {
  for (const Found& found : found_) {
    executor.offer(found.image.diff_ids(), [this, &found](StepNumber step) {
      bool is_missing = false;
      for (const Layer& layer : found.image.layers) {
        if (store_.layers().has(layer.diff_id)) continue;
        pin_.add(layer.blob.digest);
        if (store_.blobs().has(layer.blob.digest)) {
          unpack_blob(store_, layer.blob, layer.diff_id);
        } else {
          is_missing = true;
        }
      }
      if (!is_missing) return;
      if (!services_.pull_layers)
        throw Error(ErrorKind::Unavailable, "the layers of " + found.reference.str() + " are not in the store");
      services_.pull_layers(found.reference, found.image.manifest, pull_progress(reporter_, step));
    });
  }
}

std::map<Digest, Descriptor> BaseImages::layer_blobs() const {
  std::map<Digest, Descriptor> result;
  for (const Found& found : found_)
    for (const Layer& layer : found.image.layers) result.try_emplace(layer.diff_id, layer.blob);
  return result;
}

}  // namespace ctr
