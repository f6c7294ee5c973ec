#include "image/layer_blob.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "base/error.h"
#include "base/random.h"
#include "base/task_pool.h"
#include "base/trace.h"
#include "image/store.h"

namespace ctr {

namespace {

bool is_canonical(const Store& store, const Digest& diff_id) {
  const std::optional<LayerInfo> info = store.layers().find(diff_id);
  return info && info->identity.canonical_version != 0;
}

// How to make a blob of that digest again, if this program once made it in a way that it still knows.
std::optional<CompressionChoice> choice_that_makes(const Store& store, const Digest& blob, const Digest& diff_id) {
  if (blob == diff_id) return CompressionChoice{Compression::None, {}};
  for (const CompressedForm& form : store.layers().compressed_forms(diff_id)) {
    if (form.blob.digest != blob) continue;
    if (const auto choice = choice_of_encoder(form.encoder)) return choice;
  }
  return std::nullopt;
}

// A kept blob is sent as it is, unless it is plain and the other side shall get it compressed.
bool sends_kept_blob(const Descriptor& blob, CompressionChoice choice) {
  return compression_of(blob.media_type) != Compression::None || choice.kind == Compression::None;
}

// A file without a name on the store's disk.
Fd make_temporary(const Store& store) {
  const fs::path directory = store.root() / "ingest";
  const int fd = ::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0) return Fd(fd);
  const fs::path path = directory / ("new-" + random_hex(16));
  Fd file = open_file(path, O_RDWR | O_CREAT | O_EXCL, 0600);
  check(::unlink(path.c_str()), "unlink", path);
  return file;
}

void write_plain(const Store& store, const Descriptor& blob, const Digest& diff_id, ByteSink& sink) {
  const std::optional<Fd> kept = store.blobs().find(blob.digest);
  if (kept && compression_of(blob.media_type) == Compression::None) {
    FdSource source(kept->get());
    copy_all(source, sink);
    return;
  }
  if (!kept || is_canonical(store, diff_id)) return store.layers().write_canonical_tar(diff_id, sink);
  FdSource source(kept->get());
  const std::unique_ptr<ByteSource> plain = decompress(source);
  copy_all(*plain, sink);
}

LayerBlob make_blob(Store& store, const Descriptor& blob, const Digest& diff_id, CompressionChoice choice,
                    std::string_view manifest_type) {
  const TraceSpan span("compress", diff_id.str());
  Fd file = make_temporary(store);
  FdSink output(file.get());
  HashingSink hashed(output);
  const auto compressor = make_compressor(choice, hashed, static_cast<unsigned>(processor_count()));
  write_plain(store, blob, diff_id, *compressor);
  compressor->finish();
  Descriptor made{std::string(layer_type(manifest_type, choice.kind)), hashed.hasher().digest(),
                  hashed.hasher().size()};
  if (choice.kind != Compression::None) store.layers().remember_compressed(diff_id, {made, encoder_name(choice)});
  check(::lseek(file.get(), 0, SEEK_SET), "seek", "layer");
  return {std::move(made), std::move(file)};
}

}  // namespace

LayerBlob open_layer_blob(Store& store, const Descriptor& blob, const Digest& diff_id, CompressionChoice choice,
                          std::string_view manifest_type) {
  if (sends_kept_blob(blob, choice)) {
    if (std::optional<Fd> kept = store.blobs().find(blob.digest)) return {blob, std::move(*kept)};
    const std::optional<CompressionChoice> again = choice_that_makes(store, blob.digest, diff_id);
    if (!again || !is_canonical(store, diff_id))
      throw Error(ErrorKind::NotFound, "layer " + blob.digest.str() + " is not in the store and can't be made again");
    LayerBlob made = make_blob(store, blob, diff_id, *again, manifest_type);
    if (made.blob.digest != blob.digest)
      throw Error(ErrorKind::Corrupt, "layer " + blob.digest.str() + " was made again as " + made.blob.digest.str());
    made.blob = blob;
    return made;
  }
  return make_blob(store, blob, diff_id, choice, manifest_type);
}

bool can_open_layer_blob(const Store& store, const Descriptor& blob, const Digest& diff_id) {
  return store.blobs().has(blob.digest) ||
         (choice_that_makes(store, blob.digest, diff_id) && is_canonical(store, diff_id));
}

std::optional<Descriptor> known_layer_blob(const Store& store, const Descriptor& blob, const Digest& diff_id,
                                           CompressionChoice choice, std::string_view manifest_type) {
  if (sends_kept_blob(blob, choice)) return blob;
  const std::string encoder = encoder_name(choice);
  for (const CompressedForm& form : store.layers().compressed_forms(diff_id)) {
    if (form.encoder != encoder) continue;
    Descriptor known = form.blob;
    known.media_type = layer_type(manifest_type, choice.kind);
    return known;
  }
  return std::nullopt;
}

}  // namespace ctr
