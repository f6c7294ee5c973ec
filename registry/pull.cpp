#include "registry/pull.h"

#include <algorithm>
#include <atomic>
#include <future>
#include <set>

#include "base/error.h"
#include "base/task_pool.h"
#include "base/trace.h"
#include "image/config.h"
#include "image/layer_ingest.h"
#include "image/manifest.h"
#include "registry/layer_pull.h"
#include "registry/registry_client.h"
#include "registry/remote_image.h"

namespace ctr {
namespace {

constexpr int kDeepestIndex = 4;

std::string reference_text(const Reference& reference) {
  return reference.digest() ? reference.digest()->str() : reference.tag();
}

// All that a pull learns before it fetches layers. Nothing of it is in the store yet unless it was before.
struct PullPlan {
  FetchedManifest target;
  std::vector<FetchedManifest> inner;  ///< indexes between the target and the manifest, then the manifest
  std::optional<Manifest> manifest_document;
  std::string config_bytes;
  ImageConfig config;

  const Manifest& document() const { return *manifest_document; }
  const Descriptor& manifest() const { return inner.empty() ? target.descriptor : inner.back().descriptor; }
  const std::string& manifest_bytes() const { return inner.empty() ? target.bytes : inner.back().bytes; }
};

// A manifest that is here need not be fetched.
FetchedManifest fetch(const Store& store, RegistryClient& client, const Descriptor& descriptor) {
  if (store.blobs().has(descriptor.digest)) {
    return {descriptor, store.blobs().read(descriptor.digest, kManifestLimit)};
  }
  FetchedManifest fetched = client.get_manifest(descriptor.digest.str());
  if (fetched.descriptor.size != descriptor.size) {
    throw Error(ErrorKind::Corrupt, "manifest " + descriptor.digest.str() + " has another size than its index says");
  }
  fetched.descriptor.platform = descriptor.platform;
  return fetched;
}

FetchedManifest fetch_target(const Store& store, RegistryClient& client, const Reference& reference) {
  const auto known = store.images().find(reference);
  if (known && store.blobs().has(known->digest)) {
    // HEAD costs nothing against a registry's limits, and usually says that nothing changed.
    if (reference.digest()) return fetch(store, client, *known);
    const auto head = client.head_manifest(reference_text(reference));
    if (head && head->digest == known->digest) return fetch(store, client, *known);
  }
  return client.get_manifest(reference_text(reference));
}

void check_platform(const PullOptions& options, const PullPlan& plan, const Reference& reference) {
  if (!options.platform || plan.config.platform.os.empty()) return;
  if (platform_matches(*options.platform, plan.config.platform)) return;
  throw Error(ErrorKind::NotFound, "image with reference " + reference.familiar() +
                                       " was found but does not match the specified platform: wanted " +
                                       options.platform->str() + ", actual: " + plan.config.platform.str());
}

PullPlan make_plan(const Store& store, RegistryClient& client, const Reference& reference, const PullOptions& options) {
  const TraceSpan span("resolve", reference.str());
  PullPlan plan{fetch_target(store, client, reference), {}, {}, {}, {}};
  const Platform wanted = options.platform.value_or(options.preferred.value_or(host_platform()));
  while (plan.manifest().is_index()) {
    if (plan.inner.size() >= kDeepestIndex) throw Error(ErrorKind::Invalid, "indexes are nested too deep");
    const Index index = parse_index(plan.manifest_bytes(), plan.manifest().media_type);
    const auto child = choose_manifest(index, wanted);
    if (!child) throw no_matching_manifest(wanted, index);
    plan.inner.push_back(fetch(store, client, *child));
  }
  plan.manifest_document = parse_manifest(plan.manifest_bytes(), plan.manifest().media_type);
  const Descriptor& config = plan.document().config;
  if (!is_config_type(config.media_type)) {
    throw Error(ErrorKind::Invalid,
                reference.familiar() + " is not an image but an artifact (" +
                    (plan.document().artifact_type.empty() ? config.media_type : plan.document().artifact_type) + ")");
  }
  plan.config_bytes = store.blobs().has(config.digest) ? store.blobs().read(config.digest, kConfigLimit)
                                                       : client.read_blob(config, kConfigLimit);
  plan.config = parse_image_config(plan.config_bytes);
  if (plan.config.diff_ids.size() != plan.document().layers.size()) {
    throw Error(ErrorKind::Corrupt, "manifest " + plan.manifest().digest.str() + " has " +
                                        std::to_string(plan.document().layers.size()) + " layers, its config " +
                                        std::to_string(plan.config.diff_ids.size()));
  }
  check_platform(options, plan, reference);
  return plan;
}

void pin_plan(Pin& pin, const PullPlan& plan) {
  std::vector<Digest> digests{plan.target.descriptor.digest, plan.document().config.digest};
  for (const FetchedManifest& manifest : plan.inner) digests.push_back(manifest.descriptor.digest);
  for (const Descriptor& layer : plan.document().layers) digests.push_back(layer.digest);
  for (const Digest& diff_id : plan.config.diff_ids) digests.push_back(diff_id);
  pin.add(digests);
}

void store_documents(const Store& store, const PullPlan& plan) {
  const auto put = [&store](const Descriptor& descriptor, const std::string& bytes) {
    if (!store.blobs().has(descriptor.digest)) store.blobs().put(descriptor.media_type, bytes);
  };
  put(plan.document().config, plan.config_bytes);
  for (auto manifest = plan.inner.rbegin(); manifest != plan.inner.rend(); ++manifest) {
    put(manifest->descriptor, manifest->bytes);
  }
  put(plan.target.descriptor, plan.target.bytes);
}

struct LayersResult {
  bool fetched_any = false;
};

// Every task is waited for, then the first failure is thrown: a partial download stays for the next try.
LayersResult fetch_layers(Store& store, RegistryClient& client, const RetryPolicy& retry, const Manifest& document,
                          const std::vector<Digest>& diff_ids, const PullOptions& options) {
  TransferProgress& progress = options.progress != nullptr ? *options.progress : silent_progress();
  LayerPull pull{store, client, retry, progress};
  LayersResult result;
  std::set<Digest> seen;
  std::vector<std::size_t> missing;
  for (std::size_t i = 0; i < document.layers.size(); ++i) {
    const Descriptor& blob = document.layers[i];
    if (!seen.insert(blob.digest).second) continue;
    const bool is_here = has_layer(store, blob, diff_ids[i]);
    progress.layer(
        {blob.digest.short_hex(), is_here ? LayerState::AlreadyExists : LayerState::PullingFsLayer, 0, blob.size, {}});
    if (!is_here) missing.push_back(i);
  }
  result.fetched_any = !missing.empty();
  std::vector<std::future<void>> tasks;
  std::atomic<bool> failed{false};
  {
    TaskPool pool(options.parallel_layers);
    for (const std::size_t i : missing) {
      tasks.push_back(pool.submit([&, i] {
        if (failed) return;
        try {
          pull.run(document.layers[i], diff_ids[i]);
        } catch (...) {
          failed = true;
          throw;
        }
      }));
    }
  }
  for (std::future<void>& task : tasks) task.get();
  return result;
}

void name_image(const Store& store, const Reference& reference, const Descriptor& target) {
  store.images().remember_repo_digest(reference.without_tag(), target, target.digest);
  if (reference.digest()) {
    if (store.images().names_of(target.digest).empty()) store.images().set_untagged(target);
  } else {
    store.images().set(reference, target);
  }
}

// What a name keeps: media type, digest and size; no platform or annotations of an index around it.
Descriptor plain(const Descriptor& descriptor) {
  return {.media_type = descriptor.media_type, .digest = descriptor.digest, .size = descriptor.size};
}

}  // namespace

PullResult pull_image(Store& store, RegistrySession& session, const Reference& reference, const PullOptions& options) {
  const TraceSpan span("pull", reference.str());
  RegistryClient client = session.client(reference.host(), reference.repository());
  const auto before = store.images().find(reference);
  const PullPlan plan = make_plan(store, client, reference, options);
  Pin pin = store.pin();
  pin_plan(pin, plan);
  const bool had_manifest = store.blobs().has(plan.manifest().digest);
  const LayersResult layers =
      fetch_layers(store, client, session.retry(), plan.document(), plan.config.diff_ids, options);
  store_documents(store, plan);
  const Descriptor target = plain(plan.target.descriptor);
  name_image(store, reference, target);
  const bool same = before && before->digest == target.digest && had_manifest && !layers.fetched_any;
  return {target, plan.manifest(), same ? PullStatus::UpToDate : PullStatus::Downloaded};
}

PullResult pull_manifests(Store& store, RegistrySession& session, const Reference& reference,
                          const PullOptions& options) {
  RegistryClient client = session.client(reference.host(), reference.repository());
  const PullPlan plan = make_plan(store, client, reference, options);
  store_documents(store, plan);
  return {plain(plan.target.descriptor), plan.manifest(), PullStatus::Downloaded};
}

void pull_layers(Store& store, RegistrySession& session, const Reference& reference, const Descriptor& manifest,
                 const PullOptions& options) {
  RegistryClient client = session.client(reference.host(), reference.repository());
  const Manifest document = parse_manifest(store.blobs().read(manifest.digest, kManifestLimit), manifest.media_type);
  const ImageConfig config = parse_image_config(store.blobs().read(document.config.digest, kConfigLimit));
  if (config.diff_ids.size() != document.layers.size()) {
    throw Error(ErrorKind::Corrupt, "manifest " + manifest.digest.str() + " and its config don't agree on the layers");
  }
  Pin pin = store.pin();
  pin.add(config.diff_ids);
  fetch_layers(store, client, session.retry(), document, config.diff_ids, options);
}

Descriptor resolve_reference(RegistrySession& session, const Reference& reference) {
  RegistryClient client = session.client(reference.host(), reference.repository());
  const std::string text = reference_text(reference);
  if (const auto head = client.head_manifest(text)) return *head;
  return client.get_manifest(text).descriptor;  // for its sentence
}

bool has_all_layers(const Store& store, const Image& image) {
  return std::all_of(image.layers.begin(), image.layers.end(),
                     [&store](const Layer& layer) { return store.layers().has(layer.diff_id); });
}

std::vector<std::string> list_tags(RegistrySession& session, const Reference& repository) {
  return session.client(repository.host(), repository.repository()).tags();
}

}  // namespace ctr
