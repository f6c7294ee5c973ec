#include "tests/support/image_store_fixture.h"

namespace ctr {

LayerInfo StoreFixture::make_layer(const std::vector<std::pair<std::string, std::string>>& files) {
  CanonicalLayerWriter writer(store_.layers().create());
  for (const auto& [path, text] : files) {
    Entry entry{path, path.ends_with('/') ? EntryType::Directory : EntryType::File, 0755, 0, 0, {1700000000, 0}};
    if (entry.type == EntryType::Directory) entry.path.pop_back();
    entry.size = text.size();
    TextContent content(text);
    writer.add(entry, content);
  }
  return writer.commit();
}

Descriptor StoreFixture::make_image(const std::vector<LayerInfo>& layers, const Platform& platform) {
  ImageConfig config;
  config.created = "2024-01-01T00:00:00Z";
  config.platform = platform;
  config.defaults.cmd = {"/bin/true"};
  std::vector<Descriptor> blobs;
  for (const LayerInfo& layer : layers) {
    config.diff_ids.push_back(layer.identity.diff_id);
    blobs.push_back(uncompressed_blob(layer.identity.diff_id, layer.identity.tar_size));
  }
  Pin pin = store_.pin();
  return write_image(store_, pin, config, blobs);
}

}  // namespace ctr
