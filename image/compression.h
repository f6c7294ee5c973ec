// Compression of layers. What comes in is recognised by its first bytes, whatever its media type says. What goes out is
// gzip in independent 1 MiB members (every gzip reader accepts that; members are made in parallel; gzip_deflate.h tells
// by which encoder), or zstd in independent 4 MiB frames. The same encoder name gives the same
// bytes.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "image/media_types.h"

namespace ctr {

struct CompressionChoice {
  Compression kind = Compression::Gzip;
  /// The encoder's own scale; nothing means its default (zstd 3; gzip: see gzip_deflate.h).
  std::optional<int> level = {};
};

/// By the magic number. `first` should have 4 bytes or more.
Compression detect_compression(Bytes first);

/// The bytes behind any number of gzip members or zstd frames (or bzip2 or xz streams), or `input` itself. Borrows the input.
/// Throws Corrupt for bytes that are broken or end early.
std::unique_ptr<ByteSource> decompress(ByteSource& input);

/// A stream that must be finished: the last bytes are written by `finish`.
class Compressor : public ByteSink {
 public:
  virtual void finish() = 0;
};

/// Compresses into `output`, which it borrows, on `threads` threads.
std::unique_ptr<Compressor> make_compressor(CompressionChoice choice, ByteSink& output, unsigned threads);

/// "libdeflate-1.14-1MiB:6": what makes the bytes; a name is never reused for other bytes.
std::string encoder_name(CompressionChoice choice);
/// The choice that makes what an encoder of that name made; nothing if this build has another encoder.
std::optional<CompressionChoice> choice_of_encoder(std::string_view name);

}  // namespace ctr
