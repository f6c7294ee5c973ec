// Writing images as one tar. Everything is known beforehand, so the tar is written in one go and in order: the same
// images give the same bytes.
#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <utility>

#include "base/error.h"
#include "image/archive.h"
#include "image/canonical_tar.h"
#include "image/image.h"
#include "image/layer_blob.h"

namespace ctr {

namespace {

constexpr std::string_view kNameAnnotation = "io.containerd.image.name";
constexpr std::string_view kRefAnnotation = "org.opencontainers.image.ref.name";
constexpr std::string_view kLayoutText = "{\"imageLayoutVersion\":\"1.0.0\"}";

// What one image adds to the archive.
struct Part {
  std::vector<Reference> names;
  Descriptor target;
  Image shown;  // the one that manifest.json, which knows no platforms, describes
};

struct LayerToWrite {
  Descriptor blob;
  Digest diff_id;
};

// The files of the archive below blobs/sha256: documents at hand, blobs of the store, layers to be made again.
class Contents {
 public:
  explicit Contents(Store& store) : store_(store) {}

  void add_document(const std::string& text) { documents_.emplace(Digest::of(text), text); }

  void add_image(const Image& image) {
    add_document(store_.blobs().read(image.manifest.digest, kManifestLimit));
    add_document(store_.blobs().read(image.id(), kConfigLimit));
    for (const Layer& layer : image.layers)
      layers_.try_emplace(layer.blob.digest, LayerToWrite{layer.blob, layer.diff_id});
  }

  void write(CanonicalTarWriter& tar) {
    std::set<Digest> digests;
    for (const auto& [digest, unused] : documents_) digests.insert(digest);
    for (const auto& [digest, unused] : layers_) digests.insert(digest);
    for (const Digest& digest : digests) {
      const auto document = documents_.find(digest);
      if (document == documents_.end()) {
        write_layer(tar, layers_.at(digest));
      } else {
        TextContent content(document->second);
        tar.add(file_entry(path_of(digest), document->second.size()), content);
      }
    }
  }

  static std::string path_of(const Digest& digest) { return "blobs/sha256/" + digest.hex(); }

  static Entry file_entry(std::string path, std::uint64_t size) {
    Entry entry{std::move(path), EntryType::File, 0644};
    entry.size = size;
    return entry;
  }

 private:
  void write_layer(CanonicalTarWriter& tar, const LayerToWrite& layer) {
    class TarSink final : public ByteSink {
     public:
      explicit TarSink(CanonicalTarWriter& to) : to_(to) {}
      void write(Bytes bytes) override { to_.write(bytes); }

     private:
      CanonicalTarWriter& to_;
    };
    TarSink sink(tar);
    const Digest& digest = layer.blob.digest;
    if (!store_.blobs().has(digest) && digest == layer.diff_id) {
      tar.begin(file_entry(path_of(digest), layer.blob.size));
      return store_.layers().write_canonical_tar(layer.diff_id, sink);
    }
    const LayerBlob made = open_layer_blob(store_, layer.blob, layer.diff_id, {Compression::None, {}}, {});
    tar.begin(file_entry(path_of(digest), made.blob.size));
    FdSource source(made.file.get());
    copy_all(source, sink);
  }

  Store& store_;
  std::map<Digest, std::string> documents_;
  std::map<Digest, LayerToWrite> layers_;
};

bool is_complete(const Store& store, const Image& image) {
  return std::ranges::all_of(image.layers,
                             [&](const Layer& layer) { return can_open_layer_blob(store, layer.blob, layer.diff_id); });
}

std::vector<Image> images_at_hand(const Store& store, const ImageToSave& request,
                                  const std::optional<Platform>& platform) {
  if (platform) return {load_image(store.blobs(), request.target, *platform)};
  std::vector<Image> images = load_all_images(store.blobs(), request.target);
  if (request.target.is_index()) std::erase_if(images, [&](const Image& image) { return !is_complete(store, image); });
  return images;
}

std::string shown_name(const ImageToSave& request) {
  return request.names.empty() ? request.target.digest.str() : request.names.front().familiar();
}

void require_layers(const Store& store, const Image& image) {
  for (const Layer& layer : image.layers) {
    if (!can_open_layer_blob(store, layer.blob, layer.diff_id))
      throw Error(ErrorKind::NotFound,
                  "layer " + layer.blob.digest.str() + " is not in the store: pull the image again");
  }
}

// The target as the archive can hold it: an index only with all its children.
Descriptor writable_target(Store& store, const ImageToSave& request, const std::vector<Image>& images,
                           bool is_one_platform, Contents& contents) {
  if (!request.target.is_index()) return request.target;
  if (is_one_platform || images.size() == 1) return images.front().manifest;
  Index index = parse_index(store.blobs().read(request.target.digest, kManifestLimit), request.target.media_type);
  const std::size_t before = index.manifests.size();
  std::erase_if(index.manifests, [&](const Descriptor& child) {
    return std::ranges::none_of(images, [&](const Image& image) { return image.manifest.digest == child.digest; });
  });
  if (index.manifests.size() == before) {
    contents.add_document(store.blobs().read(request.target.digest, kManifestLimit));
    return request.target;
  }
  const std::string text = serialise(index);
  contents.add_document(text);
  return describe(index.media_type, text);
}

Image shown_image(const std::vector<Image>& images) {
  const Image* best = &images.front();
  for (const Image& image : images) {
    if (platform_score(host_platform(), image.config.platform) > platform_score(host_platform(), best->config.platform))
      best = &image;
  }
  return *best;
}

Part collect(Store& store, const ImageToSave& request, const std::optional<Platform>& platform, Contents& contents) {
  const std::vector<Image> images = images_at_hand(store, request, platform);
  if (images.empty()) throw Error(ErrorKind::NotFound, "nothing of it is in the store: pull the image again");
  for (const Image& image : images) {
    require_layers(store, image);
    contents.add_image(image);
  }
  Descriptor target = writable_target(store, request, images, platform.has_value(), contents);
  return {request.names, std::move(target), shown_image(images)};
}

std::string index_text(const std::vector<Part>& parts) {
  Index index{std::string(media_type::kOciIndex), {}};
  for (const Part& part : parts) {
    Descriptor descriptor = part.target;
    if (part.names.empty()) index.manifests.push_back(descriptor);
    for (const Reference& name : part.names) {
      descriptor.annotations[std::string(kNameAnnotation)] = name.str();
      descriptor.annotations[std::string(kRefAnnotation)] = name.tag();
      index.manifests.push_back(descriptor);
    }
  }
  return serialise(index);
}

std::string manifest_text(const std::vector<Part>& parts) {
  Json list = Json::array();
  for (const Part& part : parts) {
    Json layers = Json::array();
    for (const Layer& layer : part.shown.layers) layers.push_back(Contents::path_of(layer.blob.digest));
    Json tags;
    for (const Reference& name : part.names) tags.push_back(name.familiar());
    list.push_back(
        Json::object({{"Config", Contents::path_of(part.shown.id())}, {"RepoTags", tags}, {"Layers", layers}}));
  }
  return list.dump();
}

void add_text(CanonicalTarWriter& tar, std::string path, std::string_view text) {
  TextContent content(text);
  tar.add(Contents::file_entry(std::move(path), text.size()), content);
}

void add_directory(CanonicalTarWriter& tar, std::string path) {
  tar.begin(Entry{std::move(path), EntryType::Directory, 0755});
}

}  // namespace

std::vector<Descriptor> save_images(Store& store, const std::vector<ImageToSave>& images,
                                    const std::optional<Platform>& platform, ByteSink& sink) {
  Pin pin = store.pin();
  Contents contents(store);
  std::vector<Part> parts;
  for (const ImageToSave& image : images) {
    in_context("save " + shown_name(image), [&] {
      pin.add(image.target.digest);
      for (const Image& loaded : load_all_images(store.blobs(), image.target)) {
        pin.add({loaded.manifest.digest, loaded.id()});
        for (const Layer& layer : loaded.layers) pin.add({layer.blob.digest, layer.diff_id});
      }
      parts.push_back(collect(store, image, platform, contents));
    });
  }
  CanonicalTarWriter tar(sink);
  add_directory(tar, "blobs");
  add_directory(tar, "blobs/sha256");
  contents.write(tar);
  add_text(tar, "index.json", index_text(parts));
  add_text(tar, "manifest.json", manifest_text(parts));
  add_text(tar, "oci-layout", kLayoutText);
  tar.finish();
  std::vector<Descriptor> result;
  for (const Part& part : parts) result.push_back(part.target);
  return result;
}

}  // namespace ctr
