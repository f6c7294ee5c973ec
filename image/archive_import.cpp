#include "base/error.h"
#include "image/archive.h"
#include "image/compression.h"
#include "image/image.h"
#include "image/tar_reader.h"

namespace ctr {

Descriptor import_rootfs(Store& store, ByteSource& source, ImageConfig config, std::string_view message) {
  Pin pin = store.pin();
  const std::unique_ptr<ByteSource> plain = decompress(source);
  TarReader tar(*plain);
  const std::unique_ptr<LayerWriter> writer = store.layers().create();
  while (const std::optional<Entry> entry = tar.next()) writer->add(*entry, tar);
  const LayerInfo layer = writer->commit_canonical();
  pin.add(layer.identity.diff_id);
  config.diff_ids = {layer.identity.diff_id};
  config.history.push_back({config.created, {}, config.author, std::string(message), false});
  const Descriptor target =
      write_image(store, pin, config, {uncompressed_blob(layer.identity.diff_id, layer.identity.tar_size)});
  store.sync();
  if (store.images().names_of(target.digest).empty()) store.images().set_untagged(target);
  return target;
}

}  // namespace ctr
