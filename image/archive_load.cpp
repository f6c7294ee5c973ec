// Reading images from one tar, as it streams in and in whatever order: blobs go to the store, documents are kept until
// the end, and then an OCI layout's index.json, or else a docker-archive's manifest.json, says what it all is.
#include <algorithm>
#include <array>
#include <future>
#include <map>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/task_pool.h"
#include "image/archive.h"
#include "image/compression.h"
#include "image/image.h"
#include "image/layer_ingest.h"
#include "image/tar_reader.h"

namespace ctr {

namespace {

constexpr std::size_t kDocumentLimit = 16 * kMiB;
constexpr std::string_view kBlobPrefix = "blobs/sha256/";
constexpr std::size_t kFileLimit = 100'000;

// What the stream had: blobs by their path, the two documents, links between paths.
struct ArchiveFiles {
  std::map<std::string, Descriptor> blobs;
  std::map<std::string, std::string> links;
  std::optional<std::string> index;
  std::optional<std::string> manifest;

  // Old docker-archives have links where layers repeat.
  const Descriptor& blob_at(std::string path) const {
    for (int i = 0; i < 8; ++i) {
      const auto link = links.find(path);
      if (link == links.end()) break;
      path = link->second;
    }
    const auto found = blobs.find(path);
    if (found == blobs.end()) throw Error(ErrorKind::Invalid, "the archive names " + path + ", but doesn't have it");
    return found->second;
  }
};

std::string read_document(EntrySource& source, const Entry& entry) {
  if (entry.size > kDocumentLimit) throw Error(ErrorKind::Invalid, entry.path + " is too large");
  StringSink text;
  copy_all(source, text, kDocumentLimit);
  return std::move(text).take();
}

// "../a/layer.tar" in "b/layer.tar" is "a/layer.tar".
std::string link_path(const Entry& entry) {
  if (entry.type == EntryType::HardLink) return entry.link;
  return (fs::path(parent_path(entry.path)) / entry.link).lexically_normal().native();
}

class ArchiveReader {
 public:
  ArchiveReader(Store& store, Pin& pin) : store_(store), pin_(pin) {}

  ArchiveFiles read(ByteSource& source) {
    const std::unique_ptr<ByteSource> plain = decompress(source);
    TarReader tar(*plain, WhiteoutNames::ArePlain);
    while (const std::optional<Entry> entry = tar.next()) {
      if (files_.blobs.size() + files_.links.size() > kFileLimit)
        throw Error(ErrorKind::Invalid, "the archive has more than 100000 files");
      if (entry->type == EntryType::Symlink || entry->type == EntryType::HardLink)
        files_.links[entry->path] = link_path(*entry);
      if (entry->type == EntryType::File) take_file(tar, *entry);
    }
    return std::move(files_);
  }

 private:
  void take_file(TarReader& tar, const Entry& entry) {
    if (entry.path == "index.json") {
      files_.index = read_document(tar, entry);
    } else if (entry.path == "manifest.json") {
      files_.manifest = read_document(tar, entry);
    } else if (entry.path != "oci-layout" && entry.path != "repositories") {
      files_.blobs.insert_or_assign(entry.path, store_blob(tar, entry));
    }
  }

  Descriptor store_blob(TarReader& tar, const Entry& entry) {
    if (!entry.path.starts_with(kBlobPrefix)) return store_unknown(tar);
    const auto digest = Digest::from_hex(std::string_view(entry.path).substr(kBlobPrefix.size()));
    if (!digest) throw Error(ErrorKind::Invalid, "the archive's file " + entry.path + " is no digest");
    pin_.add(*digest);
    if (const auto layer = store_.layers().find(*digest); layer && layer->identity.canonical_version != 0)
      return {std::string(), *digest, layer->identity.tar_size};  // can be made again from its tree
    std::optional<BlobWriter> writer = store_.blobs().ingest(*digest);
    if (!writer) return {std::string(), *digest, store_.blobs().find_size(*digest).value_or(entry.size)};
    writer->restart();
    copy_all(tar, *writer);
    return std::move(*writer).commit({}, entry.size);
  }

  Descriptor store_unknown(TarReader& tar) {
    BlobWriter writer = store_.blobs().ingest();
    copy_all(tar, writer);
    pin_.add(writer.digest());
    return std::move(writer).commit({});
  }

  Store& store_;
  Pin& pin_;
  ArchiveFiles files_;
};

Compression compression_of_blob(const Store& store, const Digest& digest) {
  if (store.layers().has(digest)) return Compression::None;  // named by its diff id: a plain tar
  std::array<std::byte, 8> first{};
  const Fd file = store.blobs().open(digest);
  const std::size_t count = FdSource(file.get()).read(first);
  return detect_compression(Bytes(first).first(count));
}

// A docker-archive has no manifests: this makes one that lists its layers as they are.
Descriptor image_from_manifest_item(Store& store, Pin& pin, const ArchiveFiles& files, const Json& item) {
  const Descriptor& config_blob = files.blob_at(clean_entry_path(item.require_string("Config")));
  const std::string config_text = store.blobs().read(config_blob.digest, kConfigLimit);
  const ImageConfig config = parse_image_config(config_text);
  const std::vector<std::string> paths = item.strings("Layers");
  if (paths.size() != config.diff_ids.size())
    throw Error(ErrorKind::Invalid, "manifest.json lists " + std::to_string(paths.size()) + " layers, the config " +
                                        std::to_string(config.diff_ids.size()));
  Manifest manifest{std::string(media_type::kOciManifest),
                    {std::string(media_type::kOciConfig), config_blob.digest, config_text.size()},
                    {}};
  for (std::size_t i = 0; i < paths.size(); ++i) {
    Descriptor layer = files.blob_at(clean_entry_path(paths[i]));
    const Compression compression = compression_of_blob(store, layer.digest);
    if (compression == Compression::None && layer.digest != config.diff_ids[i])
      throw Error(ErrorKind::Corrupt, paths[i] + " has the digest " + layer.digest.str() + ", but the config says " +
                                          config.diff_ids[i].str());
    layer.media_type = layer_type(manifest.media_type, compression);
    manifest.layers.push_back(std::move(layer));
  }
  const std::string text = serialise(manifest);
  pin.add(Digest::of(text));
  return store.blobs().put(manifest.media_type, text);
}

void add_name(std::vector<Reference>& names, std::string_view text) {
  const std::optional<Reference> name = Reference::try_parse(text);
  if (name && !name->digest() && std::ranges::find(names, *name) == names.end()) names.push_back(*name);
}

std::vector<LoadedImage> images_from_manifest(Store& store, Pin& pin, const ArchiveFiles& files) {
  std::vector<LoadedImage> result;
  const Json document = Json::parse(*files.manifest, "manifest.json");
  for (const Json& item : document.as_array()) {
    Descriptor target = image_from_manifest_item(store, pin, files, item);
    LoadedImage image{{}, target, target.digest};
    for (const std::string& tag : item.strings("RepoTags")) add_name(image.names, tag);
    result.push_back(std::move(image));
  }
  return result;
}

// Names of an OCI layout: containerd and Docker write the whole name in one annotation; other tools write it, or a bare
// tag, which names nothing, in the other one.
std::vector<Reference> names_of(const Descriptor& descriptor) {
  std::vector<Reference> names;
  const auto full = descriptor.annotations.find("io.containerd.image.name");
  if (full != descriptor.annotations.end()) {
    add_name(names, full->second);
    return names;
  }
  const auto reference = descriptor.annotations.find("org.opencontainers.image.ref.name");
  const bool is_name =
      reference != descriptor.annotations.end() && reference->second.find_first_of(":/") != std::string::npos;
  if (is_name) add_name(names, reference->second);
  return names;
}

std::vector<LoadedImage> images_from_index(const ArchiveFiles& files) {
  std::vector<LoadedImage> result;
  for (const Descriptor& child : parse_index(*files.index).manifests) {
    if (is_attestation(child) || (!child.is_index() && !child.is_manifest())) continue;
    Descriptor target = child;
    target.annotations.clear();
    const auto same =
        std::ranges::find_if(result, [&](const LoadedImage& image) { return image.target.digest == child.digest; });
    LoadedImage& image = same == result.end() ? result.emplace_back(LoadedImage{{}, target, target.digest}) : *same;
    for (const Reference& name : names_of(child)) {
      if (std::ranges::find(image.names, name) == image.names.end()) image.names.push_back(name);
    }
  }
  return result;
}

// Docker's older archives keep names in manifest.json alone.
void add_tags_of_manifest(const Store& store, const ArchiveFiles& files, std::vector<LoadedImage>& images) {
  if (!files.manifest) return;
  const Json document = Json::parse(*files.manifest, "manifest.json");
  for (LoadedImage& image : images) {
    if (!image.names.empty()) continue;
    for (const Image& loaded : load_all_images(store.blobs(), image.target)) {
      for (const Json& item : document.as_array()) {
        if (base_name(item.string_or("Config")).substr(0, Digest::kHexLength) != loaded.id().hex()) continue;
        for (const std::string& tag : item.strings("RepoTags")) add_name(image.names, tag);
      }
    }
  }
}

void choose_platform(const Store& store, const Platform& platform, std::vector<LoadedImage>& images) {
  std::erase_if(images, [&](LoadedImage& image) {
    const std::optional<Image> found = find_image(store.blobs(), image.target, platform);
    if (!found || !platform_matches(platform, found->config.platform)) return true;
    image.target = found->manifest;
    return false;
  });
  if (images.empty()) throw Error(ErrorKind::NotFound, "the archive has no image for platform " + platform.str());
}

// Unpacks the layers of an image, several at once; a plain tar that can be made again from the tree need not be kept.
void unpack_layers(Store& store, Pin& pin, const Image& image, TaskPool& pool, std::vector<std::future<void>>& tasks,
                   std::set<Digest>& begun) {
  for (const Layer& layer : image.layers) {
    pin.add({layer.blob.digest, layer.diff_id});
    if (!begun.insert(layer.diff_id).second) continue;
    tasks.push_back(pool.submit([&store, layer] {
      const LayerInfo info = unpack_blob(store, layer.blob, layer.diff_id);
      const bool is_reproducible = info.identity.canonical_version != 0 && layer.blob.digest == layer.diff_id;
      if (is_reproducible) store.blobs().remove(layer.blob.digest, store.trash_path());
    }));
  }
}

void unpack_images(Store& store, Pin& pin, std::vector<LoadedImage>& images) {
  std::vector<std::future<void>> tasks;
  std::set<Digest> begun;
  TaskPool pool(processor_count());
  for (LoadedImage& loaded : images) {
    const std::vector<Image> here = load_all_images(store.blobs(), loaded.target);
    if (here.empty())
      throw Error(ErrorKind::Invalid, "the archive lacks the manifest or config of " + loaded.target.digest.str());
    const std::optional<Image> own = find_image(store.blobs(), loaded.target, host_platform());
    const Image& image = own ? *own : here.front();
    loaded.id = image.id();
    unpack_layers(store, pin, image, pool, tasks, begun);
  }
  for (std::future<void>& task : tasks) task.get();
}

void name_images(Store& store, const std::vector<LoadedImage>& images) {
  store.sync();
  for (const LoadedImage& image : images) {
    if (image.names.empty() && store.images().names_of(image.target.digest).empty())
      store.images().set_untagged(image.target);
    for (const Reference& name : image.names) store.images().set(name, image.target);
  }
}

}  // namespace

std::vector<LoadedImage> load_images(Store& store, ByteSource& source, const std::optional<Platform>& platform) {
  Pin pin = store.pin();
  const ArchiveFiles files = ArchiveReader(store, pin).read(source);
  if (!files.index && !files.manifest)
    throw Error(ErrorKind::Invalid, "not an image archive: it has neither index.json nor manifest.json");
  std::vector<LoadedImage> images = files.index ? images_from_index(files) : images_from_manifest(store, pin, files);
  if (images.empty() && files.manifest) images = images_from_manifest(store, pin, files);
  if (images.empty()) throw Error(ErrorKind::Invalid, "the archive has no image");
  add_tags_of_manifest(store, files, images);
  if (platform) choose_platform(store, *platform, images);
  unpack_images(store, pin, images);
  name_images(store, images);
  return images;
}

}  // namespace ctr
