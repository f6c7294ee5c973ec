#include "builder/cache_transfer.h"

#include <fcntl.h>

#include <algorithm>

#include "base/error.h"
#include "base/rooted_path.h"
#include "builder/run_mounts.h"
#include "image/entry_sources.h"
#include "image/image.h"
#include "image/layer_ingest.h"
#include "image/manifest.h"

namespace ctr {

namespace {

constexpr std::size_t kMaxRecords = 200'000;
constexpr std::size_t kMaxKeys = 16;
constexpr const char* kNameAnnotation = "org.opencontainers.image.ref.name";

std::string attribute(const CacheSpec& spec, const char* name, const std::string& otherwise = {}) {
  const auto found = spec.attributes.find(name);
  return found == spec.attributes.end() || found->second.empty() ? otherwise : found->second;
}

CompressionChoice compression_of_cache(const CacheSpec& spec) {
  OutputSpec output;
  for (const char* name : {"compression", "compression-level"}) output.attributes[name] = attribute(spec, name);
  CompressionChoice choice;
  if (output.attributes["compression"] == "zstd") choice.kind = Compression::Zstd;
  if (output.attributes["compression"] == "uncompressed") choice.kind = Compression::None;
  return choice;
}

}  // namespace

// ---- the document ----

Json to_json(const CacheDocument& document) {
  Json records = Json::array();
  for (const TravellingRecord& each : document.records) {
    Json record = Json::object({{"layer", each.record.layer.str()}});
    record["keys"] = Json(std::vector<std::string>(each.keys.begin(), each.keys.end()));
    record["size"] = each.record.size;
    record["created"] = format_time(each.record.created);
    record["title"] = each.record.title;
    records.push_back(std::move(record));
  }
  Json result = Json::object({{"records", std::move(records)}});
  if (!document.mounts.empty()) {
    Json mounts = Json::object();
    for (const auto& [id, layer] : document.mounts) mounts[id] = layer.str();
    result["mounts"] = std::move(mounts);
  }
  return result;
}

CacheDocument cache_document_from_json(const Json& json) {
  CacheDocument document;
  const Json::Array& records = json.elements("records");
  if (records.size() > kMaxRecords) throw Error(ErrorKind::Invalid, "the cache has too many records");
  for (const Json& each : records) {
    BuildRecord record{.layer = Digest::parse(each.require_string("layer"))};
    record.size = static_cast<std::uint64_t>(std::max<std::int64_t>(each.int_or("size"), 0));
    const auto created = parse_time(each.require_string("created"));
    if (!created) throw Error(ErrorKind::Invalid, "a cache record has no time");
    record.created = *created;
    record.title = each.string_or("title");
    const std::vector<std::string> keys = each.strings("keys");
    if (keys.empty() || keys.size() > kMaxKeys) throw Error(ErrorKind::Invalid, "a cache record has no keys, or too many");
    for (const std::string& key : keys)
      if (!Digest::from_hex(key)) throw Error(ErrorKind::Invalid, "a cache record's key is none: " + key.substr(0, 100));
    document.records.push_back({{keys.begin(), keys.end()}, std::move(record)});
  }
  for (const auto& [id, layer] : json.members("mounts")) document.mounts.emplace(id, Digest::parse(layer.as_string()));
  return document;
}

std::optional<Digest> snapshot_cache_mount(Store& store, Pin& pin, const std::string& id) {
  const fs::path directory = cache_mounts_directory(store.root()) / Digest::of(id).hex();
  if (!fs::exists(directory / "data")) return std::nullopt;
  const FileLock lock = FileLock::acquire(directory / "lock", LockMode::Exclusive);
  const Fd data = open_directory(directory / "data");
  DirectorySource source(data.get(), TreeKind::Plain, overlay_xattrs_of_this_process());
  CanonicalLayerWriter writer(store.layers().create());
  while (const auto entry = source.next()) writer.add(*entry, source);
  const LayerInfo layer = writer.commit();
  pin.add(layer.identity.diff_id);
  return layer.identity.diff_id;
}

// ---- export ----

namespace {

/// The cache as an image in the store, not named.
Descriptor write_cache_image(const CacheDocument& document, const std::vector<Digest>& layers, const Platform& platform,
                             Store& store, Pin& pin) {
  ImageConfig config;
  config.platform = platform;
  config.diff_ids = layers;
  config.unknown = Json::object();
  config.unknown[kCacheMember] = to_json(document);
  std::vector<Descriptor> blobs;
  for (const Digest& layer : layers)
    blobs.push_back(uncompressed_blob(layer, store.layers().info(layer).identity.tar_size));
  return write_image(store, pin, config, blobs);
}

void write_layout_file(const fs::path& path, std::string_view content) {
  make_directories(path.parent_path());
  write_file_atomic(path, content, Durability::Cached);
}

void write_layout_blob(const fs::path& directory, const Descriptor& blob, int file) {
  const fs::path path = directory / "blobs/sha256" / blob.digest.hex();
  if (fs::exists(path)) return;
  make_directories(path.parent_path());
  const fs::path part = path.native() + ".part";
  {
    const Fd out = open_file(part, O_WRONLY | O_CREAT | O_TRUNC);
    FdSource source(file);
    FdSink sink(out.get());
    copy_all(source, sink, blob.size);
  }
  check(::rename(part.c_str(), path.c_str()), "publish", path);
}

/// The cache's image as an OCI layout directory; other tags in it stay.
void write_cache_layout(const CacheSpec& spec, const Descriptor& target, Store& store) {
  const fs::path directory = attribute(spec, "dest");
  const Image image = load_image(store.blobs(), target, host_platform());
  Manifest manifest = image.document;
  for (std::size_t i = 0; i < image.layers.size(); ++i) {
    const LayerBlob blob = open_layer_blob(store, image.layers[i].blob, image.layers[i].diff_id,
                                           compression_of_cache(spec), media_type::kOciManifest);
    write_layout_blob(directory, blob.blob, blob.file.get());
    manifest.layers[i] = blob.blob;
  }
  const Fd config = store.blobs().open(manifest.config.digest);
  write_layout_blob(directory, manifest.config, config.get());
  const std::string text = serialise(manifest);
  Descriptor descriptor = describe(media_type::kOciManifest, text);
  write_layout_file(directory / "blobs/sha256" / descriptor.digest.hex(), text);

  const std::string tag = attribute(spec, "tag", "latest");
  descriptor.annotations[kNameAnnotation] = tag;
  Index index;
  index.media_type = media_type::kOciIndex;
  if (attribute(spec, "reset") != "true") {
    if (const auto old = find_file(directory / "index.json", kManifestLimit)) index = parse_index(*old);
  }
  std::erase_if(index.manifests, [&](const Descriptor& each) {
    const auto name = each.annotations.find(kNameAnnotation);
    return name != each.annotations.end() && name->second == tag;
  });
  index.manifests.push_back(descriptor);
  write_layout_file(directory / "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
  write_layout_file(directory / "index.json", serialise(index));
}

}  // namespace

void export_cache(const CacheSpec& spec, CacheDocument document, const std::set<Digest>& wanted, const Platform& platform,
                  Store& store, Pin& pin, const BuildServices& services, StepReporter& reporter) {
  ReportedStep step(reporter, spec.type == CacheSpec::Type::Local ? "exporting cache to client directory"
                                                                  : "exporting cache to registry");
  std::vector<Digest> layers;
  std::set<Digest> seen;
  const auto add_layer = [&](const Digest& layer) {
    if (store.layers().has(layer) && seen.insert(layer).second) layers.push_back(layer);
  };
  for (const TravellingRecord& each : document.records)
    if (wanted.contains(each.record.layer)) add_layer(each.record.layer);
  for (const auto& [id, layer] : document.mounts) add_layer(layer);
  step.status({.text = "preparing build cache for export", .is_done = true});
  const Descriptor target = write_cache_image(document, layers, platform, store, pin);
  if (spec.type == CacheSpec::Type::Local) {
    write_cache_layout(spec, target, store);
  } else {
    if (!services.push) throw Error(ErrorKind::Unavailable, "this build can't push a cache: no registry is at hand");
    services.push(Reference::parse(attribute(spec, "ref")), target,
                  [&](std::string_view item, std::uint64_t current, std::uint64_t total) {
                    step.status({.text = "writing layer " + std::string(item),
                                 .current = current,
                                 .total = total,
                                 .is_bytes = true,
                                 .is_done = total != 0 && current >= total});
                  });
  }
  step.done();
}

// ---- import ----

void CacheImports::take(const Origin& origin, const Descriptor& blob) const {
  pin_.add(blob.digest);
  if (store_.blobs().has(blob.digest)) return;
  if (origin.reference) {
    if (!services_.fetch_blob) throw Error(ErrorKind::Unavailable, "no registry is at hand");
    services_.fetch_blob(*origin.reference, blob, {});
    return;
  }
  auto writer = store_.blobs().ingest(blob.digest);
  if (!writer) return;
  writer->restart();
  const Fd file = open_file(origin.layout / "blobs/sha256" / blob.digest.hex(), O_RDONLY | O_NOFOLLOW);
  FdSource source(file.get());
  copy_all(source, *writer, blob.size);
  std::move(*writer).commit(blob.media_type, blob.size);
}

void CacheImports::read_image(const Origin& origin, const Descriptor& manifest, const CacheSpec& spec) {
  if (!origin.reference || !store_.blobs().has(manifest.digest)) {
    if (origin.reference) {
      services_.fetch_manifest(origin.reference->without_tag().with_digest(manifest.digest));
    } else {
      take(origin, manifest);
    }
  }
  const Manifest document = parse_manifest(store_.blobs().read(manifest.digest, kManifestLimit), manifest.media_type);
  if (!is_config_type(document.config.media_type)) return;
  take(origin, document.config);
  const ImageConfig config = parse_image_config(store_.blobs().read(document.config.digest, kConfigLimit));
  const Json* member = config.unknown.find(kCacheMember);
  if (member == nullptr) return;
  std::map<Digest, Descriptor> blobs;
  for (std::size_t i = 0; i < document.layers.size() && i < config.diff_ids.size(); ++i)
    blobs.emplace(config.diff_ids[i], document.layers[i]);
  const CacheDocument cache = cache_document_from_json(*member);
  for (const TravellingRecord& each : cache.records) {
    RemoteRecord record{each.record, std::nullopt};
    if (const auto blob = blobs.find(each.record.layer); blob != blobs.end()) record.blob = blob->second;
    for (const std::string& key : each.keys) {
      const auto [known, is_new] = records_.try_emplace(*Digest::from_hex(key), record);
      if (!is_new && !known->second.blob && record.blob) known->second = record;
    }
  }
  for (const auto& [diff_id, blob] : blobs) layers_.try_emplace(diff_id, RemoteLayer{blob, origin});
  if (spec.mounts)
    for (const auto& [id, layer] : cache.mounts)
      if (blobs.contains(layer)) mounts_.try_emplace(id, layer);
}

void CacheImports::read_target(const Origin& origin, const Descriptor& target, const CacheSpec& spec) {
  if (!target.is_index()) {
    read_image(origin, target, spec);
    return;
  }
  if (!origin.reference) take(origin, target);
  const Index index = parse_index(store_.blobs().read(target.digest, kManifestLimit), target.media_type);
  for (const Descriptor& child : index.manifests)
    if (!is_attestation(child)) read_image(origin, child, spec);
}

void CacheImports::read(const CacheSpec& spec, StepReporter& reporter) {
  const bool is_local = spec.type == CacheSpec::Type::Local;
  const std::string name = is_local ? attribute(spec, "src") : attribute(spec, "ref");
  ReportedStep step(reporter, "importing cache manifest from " + name);
  try {
    if (is_local) {
      const Origin origin{std::nullopt, name};
      const Index index = parse_index(read_file(origin.layout / "index.json", kManifestLimit));
      const std::string wanted_digest = attribute(spec, "digest");
      const std::string wanted_tag = attribute(spec, "tag", "latest");
      for (const Descriptor& each : index.manifests) {
        const auto tag = each.annotations.find(kNameAnnotation);
        const bool is_wanted = wanted_digest.empty() ? tag != each.annotations.end() && tag->second == wanted_tag
                                                     : each.digest.str() == wanted_digest;
        if (is_wanted) read_target(origin, each, spec);
      }
    } else {
      if (!services_.fetch_manifest) throw Error(ErrorKind::Unavailable, "no registry is at hand");
      const Origin origin{Reference::parse(name), {}};
      const auto target = services_.fetch_manifest(*origin.reference);
      if (!target) throw Error(ErrorKind::NotFound, name + ": not found");
      pin_.add(target->digest);
      read_target(origin, *target, spec);
    }
    step.done();
  } catch (const Error& error) {
    reporter.warn("the cache " + name + " is not used: " + error.what());
    step.done(StepEnd::Cancelled);
  }
}

std::optional<RemoteRecord> CacheImports::find(const Digest& key) const {
  const auto found = records_.find(key);
  return found == records_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<Digest> CacheImports::find_mount(const std::string& id) const {
  const auto found = mounts_.find(id);
  return found == mounts_.end() ? std::nullopt : std::optional(found->second);
}

void CacheImports::fetch(const RemoteLayer& layer, const Digest& diff_id, StepReporter& reporter, StepNumber step) const {
  reporter.status(step, {.text = "importing cached layer " + diff_id.short_hex(), .total = layer.blob.size, .is_bytes = true});
  take(layer.origin, layer.blob);
  pin_.add(diff_id);
  unpack_blob(store_, layer.blob, diff_id);
  reporter.status(step, {.text = "importing cached layer " + diff_id.short_hex(),
                         .current = layer.blob.size,
                         .total = layer.blob.size,
                         .is_bytes = true,
                         .is_done = true});
}

void CacheImports::offer_layers(BuildExecutor& executor, StepReporter& reporter) const {
  for (const auto& [diff_id, layer] : layers_)
    executor.offer({diff_id}, [this, &reporter, &layer = layer, diff_id = diff_id](StepNumber step) {
      fetch(layer, diff_id, reporter, step);
    });
}

}  // namespace ctr
