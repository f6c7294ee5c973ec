#include "tests/support/registry_images.h"

#include "base/error.h"
#include "image/layer_store.h"
#include "image/manifest.h"

namespace ctr {

Descriptor make_test_layer(Store& store, const TestFiles& files, Digest& diff_id) {
  CanonicalLayerWriter writer(store.layers().create());
  NoContent nothing;
  writer.add({.path = "", .type = EntryType::Directory, .mode = 0755}, nothing);
  for (const auto& [path, text] : files) {
    TextContent content(text);
    writer.add({.path = path, .type = EntryType::File, .mode = 0644, .mtime = {1'700'000'000, 0}, .size = text.size()},
               content);
  }
  const LayerInfo info = writer.commit();
  diff_id = info.identity.diff_id;
  return uncompressed_blob(info.identity.diff_id, info.identity.tar_size);
}

Descriptor make_test_image(Store& store, const std::vector<TestFiles>& layers, const Platform& platform,
                           const std::string& manifest_type) {
  ImageConfig config;
  config.created = "2024-01-02T03:04:05Z";
  config.platform = platform;
  config.defaults.cmd = std::vector<std::string>{"/bin/true"};
  std::vector<Descriptor> blobs;
  for (const TestFiles& files : layers) {
    Digest diff_id = Digest::of("");
    blobs.push_back(make_test_layer(store, files, diff_id));
    config.diff_ids.push_back(diff_id);
  }
  Pin pin = store.pin();
  Descriptor manifest = write_image(store, pin, config, blobs, {}, manifest_type);
  manifest.platform = platform;
  return manifest;
}

Descriptor make_test_index(Store& store, const std::vector<Descriptor>& manifests) {
  Index index;
  index.media_type = std::string(media_type::kOciIndex);
  index.manifests = manifests;
  return store.blobs().put(index.media_type, serialise(index));
}

std::string read_layer_file(const Store& store, const Digest& diff_id, const std::string& path) {
  const std::unique_ptr<EntrySource> source = store.layers().read(diff_id);
  while (const auto entry = source->next()) {
    if (entry->path != path) continue;
    StringSink content;
    copy_all(*source, content);
    return content.text();
  }
  throw Error(ErrorKind::NotFound, path + " is not in the layer");
}

}  // namespace ctr
