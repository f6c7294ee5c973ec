#include "registry/push.h"

#include <algorithm>
#include <atomic>
#include <future>
#include <map>
#include <mutex>
#include <set>
#include <vector>

#include "base/error.h"
#include "base/task_pool.h"
#include "base/trace.h"
#include "image/config.h"
#include "image/image.h"
#include "image/layer_ingest.h"
#include "image/manifest.h"
#include "registry/blob_upload.h"
#include "registry/content.h"
#include "registry/copy.h"
#include "registry/ecr.h"
#include "registry/layer_pull.h"
#include "registry/registry_client.h"

namespace ctr {
namespace {

constexpr int kDeepestIndex = 4;

// One layer (or other blob) of a manifest, and what it is in the registry once that is known.
struct PushLayer {
  Descriptor local;
  std::optional<Digest> diff_id;  ///< none: not a file system layer
  std::optional<Descriptor> remote;
  std::string progress_id;
};

// A manifest with its layers and config, as it is here.
struct PushManifest {
  Descriptor local;
  std::string bytes;
  Manifest document;
  std::string config_bytes;
  std::vector<PushLayer> layers;
};

struct SentManifest {
  Descriptor descriptor;
  std::string bytes;
};

// A blob of the store as it is.
class StoredBlobBody : public FileBody {
 public:
  StoredBlobBody(Fd file, std::uint64_t size) : FileBody(file.get(), 0, size), file_(std::move(file)) {}

 private:
  Fd file_;
};

// A platform of an index is neither here nor at a registry that could give it.
class MissingPlatform : public Error {
 public:
  explicit MissingPlatform(const std::string& sentence) : Error(ErrorKind::NotFound, sentence) {}
};

class Push {
 public:
  Push(Store& store, RegistrySession& session, const Reference& destination, const PushOptions& options)
      : store_(store),
        session_(session),
        destination_(destination),
        options_(options),
        progress_(options.progress != nullptr ? *options.progress : silent_progress()),
        client_(session.client(destination.host(), destination.repository(), Access::Push)),
        upload_{client_, session.retry(), progress_} {}

  PushResult run(const Descriptor& source);

 private:
  PushManifest load(const Descriptor& manifest) const;
  SentManifest final_manifest(const PushManifest& manifest) const;
  std::optional<Descriptor> find_tag();
  bool is_tagged(const Digest& digest) const { return tag_ && tag_->digest == digest; }
  std::optional<SentManifest> already_there(const PushManifest& manifest);
  void report_all_present(const PushManifest& manifest);
  SentManifest send_manifest(const Descriptor& local, int depth);
  SentManifest send_one(PushManifest manifest);
  SentManifest send_index(const Descriptor& local, int depth);
  bool is_present(const Descriptor& manifest, int depth) const;
  void copy_missing(const Descriptor& manifest);
  Descriptor choose_platform(const Descriptor& source) const;
  Descriptor choose_present(const Descriptor& source) const;
  void send_layers(PushManifest& manifest);
  void send_layer(const PushManifest& manifest, PushLayer& layer);
  void send_config(const PushManifest& manifest);
  void resolve_known_layers(PushManifest& manifest) const;
  std::vector<std::string> mount_candidates(const PushLayer& layer);
  void find_mount_sources();
  void report_done(const PushLayer& layer, const UploadReport& report);

  Store& store_;
  RegistrySession& session_;
  const Reference& destination_;
  const PushOptions& options_;
  TransferProgress& progress_;
  RegistryClient client_;
  BlobUpload upload_;
  std::vector<Reference> origins_;  ///< repositories that have the source as it is
  std::optional<Descriptor> tag_;   ///< what the registry has under our tag now
  std::once_flag mount_sources_found_;
  std::map<Digest, std::vector<std::string>> mount_sources_;  ///< by diff id: repositories of this host
};

PushManifest Push::load(const Descriptor& descriptor) const {
  std::string bytes = store_.blobs().read(descriptor.digest, kManifestLimit);
  Manifest document = parse_manifest(bytes, descriptor.media_type);
  PushManifest manifest{descriptor, std::move(bytes), std::move(document), {}, {}};
  manifest.config_bytes = store_.blobs().read(manifest.document.config.digest, kConfigLimit);
  std::vector<Digest> diff_ids;
  if (is_config_type(manifest.document.config.media_type)) {
    diff_ids = parse_image_config(manifest.config_bytes).diff_ids;
  }
  const std::vector<Descriptor>& blobs = manifest.document.layers;
  for (std::size_t i = 0; i < blobs.size(); ++i) {
    PushLayer layer{blobs[i], {}, {}, blobs[i].digest.short_hex()};
    if (is_layer_type(blobs[i].media_type) && diff_ids.size() == blobs.size()) {
      layer.diff_id = diff_ids[i];
      layer.progress_id = diff_ids[i].short_hex();
    }
    manifest.layers.push_back(std::move(layer));
  }
  return manifest;
}

// What each layer is in the registry, as far as that is known without compressing it.
void Push::resolve_known_layers(PushManifest& manifest) const {
  for (PushLayer& layer : manifest.layers) {
    if (layer.remote) continue;
    if (!layer.diff_id || is_foreign_layer_type(layer.local.media_type)) {
      layer.remote = layer.local;
      continue;
    }
    layer.remote =
        known_layer_blob(store_, layer.local, *layer.diff_id, options_.compression, manifest.document.media_type);
  }
}

// The manifest as the registry gets it: the very bytes if no layer changed. REQUIRES: all layers are known.
SentManifest Push::final_manifest(const PushManifest& manifest) const {
  Manifest document = manifest.document;
  bool changed = false;
  for (std::size_t i = 0; i < manifest.layers.size(); ++i) {
    const Descriptor& remote = *manifest.layers[i].remote;
    if (remote.digest == document.layers[i].digest) continue;
    Descriptor replaced = remote;
    replaced.annotations = document.layers[i].annotations;
    document.layers[i] = std::move(replaced);
    changed = true;
  }
  std::string bytes = changed ? serialise(document) : manifest.bytes;
  Descriptor descriptor = describe(document.media_type, bytes);
  descriptor.platform = manifest.local.platform;
  descriptor.annotations = manifest.local.annotations;
  return {std::move(descriptor), std::move(bytes)};
}

// None too if the registry won't say: then the upload tells.
std::optional<Descriptor> Push::find_tag() {
  try {
    return client_.head_manifest(destination_.digest() ? destination_.digest()->str() : destination_.tag());
  } catch (const RegistryError& error) {
    if (error.kind() == ErrorKind::Unavailable) throw;
    return std::nullopt;
  }
}

void Push::report_all_present(const PushManifest& manifest) {
  for (const PushLayer& layer : manifest.layers) {
    progress_.layer({layer.progress_id, LayerState::LayerAlreadyExists, 0, 0, {}});
  }
}

// Whether the registry has the manifest that we would send: then all below it is there as well.
std::optional<SentManifest> Push::already_there(const PushManifest& manifest) {
  const bool all_known = std::all_of(manifest.layers.begin(), manifest.layers.end(),
                                     [](const PushLayer& layer) { return layer.remote.has_value(); });
  if (!all_known) return std::nullopt;
  SentManifest sent = final_manifest(manifest);
  const std::string digest = sent.descriptor.digest.str();
  if (!is_tagged(sent.descriptor.digest) && (!tag_ || !client_.head_manifest(digest))) return std::nullopt;
  report_all_present(manifest);
  return sent;
}

void Push::find_mount_sources() {
  for (const RepoDigest& known : store_.images().repo_digests()) {
    const bool same_host = known.name.host() == destination_.host();
    if (!same_host || known.name.repository() == destination_.repository()) continue;
    try {
      const Descriptor local{.media_type = known.remote.media_type, .digest = known.local};
      for (const Image& image : load_all_images(store_.blobs(), local)) {
        for (const Layer& layer : image.layers) {
          std::vector<std::string>& names = mount_sources_[layer.diff_id];
          if (std::find(names.begin(), names.end(), known.name.repository()) == names.end()) {
            names.push_back(known.name.repository());
          }
        }
      }
    } catch (const Error&) {
      continue;  // an image of which something is missing is no source
    }
  }
}

std::vector<std::string> Push::mount_candidates(const PushLayer& layer) {
  std::call_once(mount_sources_found_, [this] { find_mount_sources(); });
  if (!layer.diff_id) return {};
  const auto found = mount_sources_.find(*layer.diff_id);
  return found == mount_sources_.end() ? std::vector<std::string>{} : found->second;
}

void Push::report_done(const PushLayer& layer, const UploadReport& report) {
  switch (report.outcome) {
    case UploadOutcome::AlreadyThere:
      return progress_.layer({layer.progress_id, LayerState::LayerAlreadyExists, 0, 0, {}});
    case UploadOutcome::Mounted:
      return progress_.layer({layer.progress_id, LayerState::MountedFrom, 0, 0, report.mounted_from});
    case UploadOutcome::Sent:
      return progress_.layer({layer.progress_id, LayerState::Pushed, layer.remote->size, layer.remote->size, {}});
  }
}

void Push::send_layer(const PushManifest& manifest, PushLayer& layer) {
  if (is_foreign_layer_type(layer.local.media_type) && !store_.blobs().has(layer.local.digest)) return;
  std::optional<LayerBlob> made;
  const auto make = [&] {
    if (made || !layer.diff_id) return;
    progress_.layer({layer.progress_id, LayerState::Preparing, 0, layer.local.size, {}});
    made = open_layer_blob(store_, layer.local, *layer.diff_id, options_.compression, manifest.document.media_type);
  };
  if (!layer.remote) {
    make();
    layer.remote = made->blob;
  }
  const UploadReport report =
      upload_.run(*layer.remote, layer.progress_id, mount_candidates(layer), [&]() -> std::unique_ptr<HttpBodySource> {
        if (!layer.diff_id) {
          return std::make_unique<StoredBlobBody>(store_.blobs().open(layer.local.digest), layer.local.size);
        }
        make();
        if (made->blob.digest != layer.remote->digest) {
          throw Error(ErrorKind::Corrupt,
                      "layer " + layer.diff_id->str() + " was compressed to other bytes than before");
        }
        return std::make_unique<FileBody>(made->file.get(), 0, made->blob.size);
      });
  report_done(layer, report);
}

void Push::send_layers(PushManifest& manifest) {
  std::map<Digest, PushLayer*> first_of;
  std::vector<std::future<void>> tasks;
  std::atomic<bool> failed{false};
  {
    TaskPool pool(options_.parallel_layers);
    for (PushLayer& layer : manifest.layers) {
      if (!first_of.emplace(layer.local.digest, &layer).second) continue;
      tasks.push_back(pool.submit([this, &manifest, &layer, &failed] {
        if (failed) return;
        try {
          send_layer(manifest, layer);
        } catch (...) {
          failed = true;
          throw;
        }
      }));
    }
  }
  for (std::future<void>& task : tasks) task.get();
  for (PushLayer& layer : manifest.layers) {
    if (!layer.remote) layer.remote = first_of.at(layer.local.digest)->remote;
  }
}

void Push::send_config(const PushManifest& manifest) {
  const Descriptor& config = manifest.document.config;
  upload_.run(config, config.digest.short_hex(), {},
              [&] { return std::make_unique<StringBody>(manifest.config_bytes); });
}

SentManifest Push::send_one(PushManifest manifest) {
  resolve_known_layers(manifest);
  if (auto sent = already_there(manifest)) return *sent;
  for (const PushLayer& layer : manifest.layers) {
    progress_.layer({layer.progress_id, LayerState::Preparing, 0, layer.local.size, {}});
  }
  send_layers(manifest);
  send_config(manifest);
  return final_manifest(manifest);
}

SentManifest Push::send_index(const Descriptor& local, int depth) {
  if (depth > kDeepestIndex) throw Error(ErrorKind::Invalid, "indexes are nested too deep");
  std::string bytes = store_.blobs().read(local.digest, kManifestLimit);
  if (is_tagged(local.digest)) return {local, bytes};
  Index index = parse_index(bytes, local.media_type);
  bool changed = false;
  for (Descriptor& child : index.manifests) {
    if (!is_present(child, depth + 1)) {
      copy_missing(child);
      continue;
    }
    const SentManifest sent = send_manifest(child, depth + 1);
    // By digest only: a tag that is immutable would refuse the index afterwards.
    if (!client_.head_manifest(sent.descriptor.digest.str())) {
      client_.put_manifest(sent.descriptor.digest.str(), sent.descriptor.media_type, sent.bytes);
    }
    if (sent.descriptor.digest == child.digest) continue;
    child.digest = sent.descriptor.digest;
    child.size = sent.descriptor.size;
    child.media_type = sent.descriptor.media_type;
    changed = true;
  }
  if (changed) bytes = serialise(index);
  return {describe(index.media_type, bytes), bytes};
}

SentManifest Push::send_manifest(const Descriptor& local, int depth) {
  if (local.is_index()) return send_index(local, depth);
  return send_one(load(local));
}

// Whether all that the manifest names can be had from the store. A pull of an index brings one platform alone.
bool Push::is_present(const Descriptor& manifest, int depth) const {
  if (depth > kDeepestIndex || !store_.blobs().has(manifest.digest)) return false;
  if (manifest.is_index()) {
    const Index index = parse_index(store_.blobs().read(manifest.digest, kManifestLimit), manifest.media_type);
    return std::all_of(index.manifests.begin(), index.manifests.end(),
                       [&](const Descriptor& child) { return is_present(child, depth + 1); });
  }
  const Manifest document = parse_manifest(store_.blobs().read(manifest.digest, kManifestLimit), manifest.media_type);
  if (!store_.blobs().has(document.config.digest)) return false;
  const PushManifest loaded = load(manifest);
  return std::all_of(loaded.layers.begin(), loaded.layers.end(), [&](const PushLayer& layer) {
    if (is_foreign_layer_type(layer.local.media_type)) return true;
    return layer.diff_id ? can_open_layer_blob(store_, layer.local, *layer.diff_id)
                         : store_.blobs().has(layer.local.digest);
  });
}

// From a registry that the index came from, straight to the destination.
void Push::copy_missing(const Descriptor& manifest) {
  if (client_.head_manifest(manifest.digest.str())) return;
  const std::string what = manifest.platform ? manifest.platform->str() : manifest.digest.str();
  std::string reason = "no registry is known that has it";
  for (const Reference& origin : origins_) {
    try {
      const auto source = registry_source(session_, origin.host(), origin.repository());
      const auto target = registry_target(session_, destination_.host(), destination_.repository(), progress_);
      CopyOptions options;
      options.referrers = CopyReferrers::Skip;
      return copy_tree(*source, *target, manifest, options);
    } catch (const Error& error) {
      reason = error.what();
    }
  }
  throw MissingPlatform(what + " is not here, and could not be copied: " + reason);
}

Descriptor Push::choose_platform(const Descriptor& source) const {
  if (!options_.platform || !source.is_index()) return source;
  const Index index = parse_index(store_.blobs().read(source.digest, kManifestLimit), source.media_type);
  const auto child = choose_manifest(index, *options_.platform);
  if (child && !is_present(*child, 1)) {
    throw Error(ErrorKind::NotFound, options_.platform->str() + " of " + destination_.familiar() +
                                         " is not here: pull it with --platform " + options_.platform->str());
  }
  if (child) return *child;
  throw Error(ErrorKind::NotFound,
              "no matching manifest for " + options_.platform->str() + " in " + destination_.familiar());
}

// The platform of an index that is here: this machine's if there are several.
Descriptor Push::choose_present(const Descriptor& source) const {
  Index index = parse_index(store_.blobs().read(source.digest, kManifestLimit), source.media_type);
  std::erase_if(index.manifests,
                [this](const Descriptor& child) { return is_attestation(child) || !is_present(child, 1); });
  if (index.manifests.size() == 1) return index.manifests.front();
  const auto child = choose_manifest(index, host_platform());
  if (child) return *child;
  throw Error(ErrorKind::NotFound, "no platform of " + destination_.familiar() + " is here");
}

PushResult Push::run(const Descriptor& source) {
  const TraceSpan span("push", destination_.str());
  for (const RepoDigest& known : store_.images().repo_digests_of(source.digest)) {
    if (known.remote.digest == source.digest && known.name.name() != destination_.name())
      origins_.push_back(known.name);
  }
  tag_ = find_tag();
  Descriptor chosen = choose_platform(source);
  std::string notice;
  std::optional<SentManifest> sent;
  try {
    sent = send_manifest(chosen, 0);
  } catch (const MissingPlatform& missing) {
    notice = std::string(missing.what()) + "; ";
    chosen = choose_present(source);
    sent = send_manifest(chosen, 0);
  }
  const Descriptor& remote = sent->descriptor;
  if (!is_tagged(remote.digest)) {
    const std::string tag = destination_.digest() ? remote.digest.str() : destination_.tag();
    client_.put_manifest(tag, remote.media_type, sent->bytes);
  }
  PushResult result{{.media_type = remote.media_type, .digest = remote.digest, .size = remote.size}, {}};
  if (chosen.digest != source.digest) {
    const std::string platform = chosen.platform ? chosen.platform->str() : chosen.digest.str();
    result.notice = notice + "pushed " + platform + " alone, " + remote.digest.str() + ", in place of the index " +
                    source.digest.str();
  }
  const Digest& local = chosen.digest == source.digest ? source.digest : chosen.digest;
  store_.images().remember_repo_digest(destination_.without_tag(), result.target, local);
  return result;
}

}  // namespace

PushResult push_image(Store& store, RegistrySession& session, const Descriptor& source, const Reference& destination,
                      const PushOptions& options) {
  try {
    return Push(store, session, destination, options).run(source);
  } catch (const RegistryError& error) {
    const auto ecr = parse_ecr_host(destination.host());
    if (!ecr || error.kind() != ErrorKind::NotFound || options.missing_repository == MissingRepository::Fail) throw;
    create_ecr_repository(session, *ecr, destination.repository());
  }
  return Push(store, session, destination, options).run(source);
}

}  // namespace ctr
