#include "image/layer_check.h"

#include "base/error.h"
#include "base/file.h"
#include "image/canonical_tar.h"
#include "image/compression.h"
#include "image/store.h"
#include "image/tar_reader.h"

namespace ctr {

namespace {

struct TreeSum {
  Digest digest;
  std::uint64_t content = 0;
};

// What the canonical tar of the tree would be called. Foreign trees may hold what a canonical tar can't: NotFound then.
TreeSum sum_of(EntrySource& entries, int version) {
  Hasher hasher;
  CanonicalTarWriter tar(hasher, version);
  TreeSum sum{Digest::of(std::string_view()), 0};
  while (const std::optional<Entry> entry = entries.next()) {
    sum.content += entry->size;
    tar.add(*entry, entries);
  }
  tar.finish();
  sum.digest = hasher.digest();
  return sum;
}

// The blob's tree in a store of its own, which is gone afterwards.
Digest sum_of_blob(const Store& store, const Descriptor& blob) {
  const TempDirectory scratch(store.root(), "check");
  const LayerStore layers(scratch.path(), scratch.path() / "run", UnsyncedMarkers(scratch.path(), "check"),
                          LayerFormat::Directory);
  const Fd file = store.blobs().open(blob.digest);
  FdSource compressed(file.get());
  const std::unique_ptr<ByteSource> plain = decompress(compressed);
  TarReader tar(*plain);
  const std::unique_ptr<LayerWriter> writer = layers.create();
  while (const std::optional<Entry> entry = tar.next()) writer->add(*entry, tar);
  return writer->commit_canonical().identity.diff_id;
}

void check_layer(const Store& store, const Digest& diff_id, const std::optional<Descriptor>& blob) {
  const LayerInfo info = store.layers().info(diff_id);
  if (info.identity.diff_id != diff_id)
    throw Error(ErrorKind::Corrupt, "its layer.json is that of " + info.identity.diff_id.str());
  const int version = info.identity.canonical_version;
  const TreeSum sum = sum_of(*store.layers().read_anew(diff_id), version != 0 ? version : kCanonicalTarVersion);
  if (version != 0 && sum.digest != diff_id)
    throw Error(ErrorKind::Corrupt, "is damaged: its content now has the digest " + sum.digest.str());
  if (sum.content != info.content_size)
    throw Error(ErrorKind::Corrupt, "its files have " + std::to_string(sum.content) + " bytes instead of " +
                                        std::to_string(info.content_size));
  if (blob && store.blobs().is_whole(blob->digest) && sum_of_blob(store, *blob) != sum.digest)
    throw Error(ErrorKind::Corrupt, "its files are not those of its blob");
}

}  // namespace

std::optional<std::string> find_layer_damage(const Store& store, const Digest& diff_id,
                                             const std::optional<Descriptor>& blob) {
  try {
    check_layer(store, diff_id, blob);
    return std::nullopt;
  } catch (const Error& error) {
    return error.what();
  }
}

}  // namespace ctr
