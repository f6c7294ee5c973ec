#include "image/compression.h"

#include <algorithm>
#include <deque>
#include <future>
#include <utility>
#include <vector>
#include <zstd.h>

#include "base/error.h"
#include "base/task_pool.h"
#include "base/text.h"
#include "image/gzip_deflate.h"
#include "image/gzip_inflate.h"
#include "image/rare_compression.h"

namespace ctr {

namespace {

constexpr std::size_t kZstdPart = 4 * 1024 * 1024;
constexpr std::size_t kBufferSize = 128 * 1024;
constexpr int kZstdLevel = 3;

// Gives back the bytes that were read to look at, then the rest.
class PeekedSource final : public ByteSource {
 public:
  explicit PeekedSource(ByteSource& rest) : rest_(rest), peeked_(8) {
    std::size_t size = 0;
    while (size < peeked_.size()) {
      const std::size_t count = rest_.read(std::span(peeked_).subspan(size));
      if (count == 0) break;
      size += count;
    }
    peeked_.resize(size);
  }
  Bytes peeked() const { return peeked_; }

  std::size_t read(std::span<std::byte> buffer) override {
    if (position_ == peeked_.size()) return rest_.read(buffer);
    const std::size_t count = std::min(buffer.size(), peeked_.size() - position_);
    std::copy_n(peeked_.begin() + static_cast<std::ptrdiff_t>(position_), count, buffer.begin());
    position_ += count;
    return count;
  }

 private:
  ByteSource& rest_;
  std::vector<std::byte> peeked_;
  std::size_t position_ = 0;
};

class ZstdSource final : public ByteSource {
 public:
  explicit ZstdSource(ByteSource& source) : source_(source), stream_(ZSTD_createDStream()), buffer_(kBufferSize) {
    if (!stream_) throw Error(ErrorKind::System, "zstd: out of memory");
  }

  std::size_t read(std::span<std::byte> buffer) override {
    ZSTD_outBuffer out{buffer.data(), buffer.size(), 0};
    while (out.pos == 0 && out.size > 0) {
      if (input_.pos == input_.size) {
        const std::size_t count = source_.read(buffer_);
        if (count == 0 && !is_frame_complete_) throw Error(ErrorKind::Corrupt, "zstd: the data ends early");
        if (count == 0) return 0;
        input_ = {buffer_.data(), count, 0};
      }
      const std::size_t result = ZSTD_decompressStream(stream_.get(), &out, &input_);
      if (ZSTD_isError(result)) throw Error(ErrorKind::Corrupt, std::string("zstd: ") + ZSTD_getErrorName(result));
      is_frame_complete_ = result == 0;
    }
    return out.pos;
  }

 private:
  struct Free {
    void operator()(ZSTD_DStream* stream) const noexcept { ZSTD_freeDStream(stream); }
  };
  ByteSource& source_;
  std::unique_ptr<ZSTD_DStream, Free> stream_;
  std::vector<std::byte> buffer_;
  ZSTD_inBuffer input_{nullptr, 0, 0};
  bool is_frame_complete_ = false;
};

// A source together with the sources that it reads from.
class OwningSource final : public ByteSource {
 public:
  OwningSource(std::unique_ptr<PeekedSource> below, std::unique_ptr<ByteSource> top)
      : below_(std::move(below)), top_(std::move(top)) {}
  std::size_t read(std::span<std::byte> buffer) override { return top_ ? top_->read(buffer) : below_->read(buffer); }

 private:
  std::unique_ptr<PeekedSource> below_;
  std::unique_ptr<ByteSource> top_;
};

std::size_t zstd_bound(std::size_t size) { return ZSTD_compressBound(size); }

std::size_t zstd_frame(std::string_view content, std::span<char> frame, int level) {
  struct Free {
    void operator()(ZSTD_CCtx* context) const noexcept { ZSTD_freeCCtx(context); }
  };
  const std::unique_ptr<ZSTD_CCtx, Free> context(ZSTD_createCCtx());
  if (!context) throw Error(ErrorKind::System, "zstd: out of memory");
  const auto check_zstd = [](std::size_t result) {
    if (ZSTD_isError(result)) throw Error(ErrorKind::Invalid, std::string("zstd: ") + ZSTD_getErrorName(result));
    return result;
  };
  check_zstd(ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, level));
  check_zstd(ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, 1));
  return check_zstd(ZSTD_compress2(context.get(), frame.data(), frame.size(), content.data(), content.size()));
}

// Cuts the stream into parts of one size, compresses each by itself, several at once, and puts the results together: a
// sequence of gzip members or zstd frames is a valid file of its kind. Buffers are used again: to fault fresh pages in
// for each part would take as long as to compress it.
class PartCompressor final : public Compressor {
 public:
  PartCompressor(PartEncoder encoder, std::size_t part_size, ByteSink& output, unsigned threads)
      : encoder_(std::move(encoder)),
        part_size_(part_size),
        output_(output),
        window_(2 * std::max(threads, 1u)),
        part_(make_part()),
        pool_(std::max(threads, 1u)) {}

  void write(Bytes bytes) override {
    while (!bytes.empty()) {
      const std::size_t count = std::min(bytes.size(), part_size_ - part_->content.size());
      part_->content.append(as_chars(bytes.first(count)));
      bytes = bytes.subspan(count);
      if (part_->content.size() == part_size_) submit();
    }
  }

  void finish() override {
    if (!part_->content.empty() || !has_output_) submit();
    while (!pending_.empty()) write_oldest();
  }

 private:
  struct Part {
    std::string content;
    std::unique_ptr<char[]> compressed;
    std::size_t bound = 0;
    std::future<std::size_t> size;
  };

  std::unique_ptr<Part> make_part() const {
    auto part = std::make_unique<Part>();
    part->content.reserve(part_size_);
    part->bound = encoder_.bound(part_size_);
    part->compressed = std::make_unique_for_overwrite<char[]>(part->bound);
    return part;
  }

  void submit() {
    has_output_ = true;
    std::unique_ptr<Part> next = pending_.size() >= window_ ? write_oldest() : make_part();
    part_->size = pool_.submit([part = part_.get(), compress = encoder_.compress, level = encoder_.level] {
      return compress(part->content, {part->compressed.get(), part->bound}, level);
    });
    pending_.push_back(std::exchange(part_, std::move(next)));
  }

  /// Gives its buffers back.
  std::unique_ptr<Part> write_oldest() {
    const std::size_t size = pending_.front()->size.get();
    std::unique_ptr<Part> part = std::move(pending_.front());
    pending_.pop_front();
    output_.write(as_bytes(std::string_view(part->compressed.get(), size)));
    part->content.clear();
    return part;
  }

  PartEncoder encoder_;
  std::size_t part_size_;
  ByteSink& output_;
  std::size_t window_;
  std::unique_ptr<Part> part_;
  bool has_output_ = false;
  std::deque<std::unique_ptr<Part>> pending_;
  TaskPool pool_;  // last: its end waits for tasks
};

class PlainCompressor final : public Compressor {
 public:
  explicit PlainCompressor(ByteSink& output) : output_(output) {}
  void write(Bytes bytes) override { output_.write(bytes); }
  void finish() override {}

 private:
  ByteSink& output_;
};

}  // namespace

Compression detect_compression(Bytes first) {
  const std::string_view text = as_chars(first);
  if (text.starts_with("\x1f\x8b\x08")) return Compression::Gzip;
  if (text.starts_with("\x28\xb5\x2f\xfd")) return Compression::Zstd;
  // A skippable frame, as seekable zstd files begin.
  if (text.size() >= 4 && (text[0] & 0xf0) == 0x50 && text.substr(1, 3) == "\x2a\x4d\x18") return Compression::Zstd;
  return Compression::None;
}

std::unique_ptr<ByteSource> decompress(ByteSource& input) {
  auto peeked = std::make_unique<PeekedSource>(input);
  std::unique_ptr<ByteSource> top;
  switch (detect_compression(peeked->peeked())) {
    case Compression::Gzip:
      top = inflate_gzip(*peeked);
      break;
    case Compression::Zstd:
      top = std::make_unique<ZstdSource>(*peeked);
      break;
    case Compression::None:
      top = decompress_rare(peeked->peeked(), *peeked);
      break;
  }
  return std::make_unique<OwningSource>(std::move(peeked), std::move(top));
}

std::unique_ptr<Compressor> make_compressor(CompressionChoice choice, ByteSink& output, unsigned threads) {
  switch (choice.kind) {
    case Compression::Gzip:
      return std::make_unique<PartCompressor>(gzip_encoder(choice.level), kGzipPart, output, threads);
    case Compression::Zstd: {
      PartEncoder encoder{encoder_name(choice), choice.level.value_or(kZstdLevel), zstd_frame, zstd_bound};
      return std::make_unique<PartCompressor>(std::move(encoder), kZstdPart, output, threads);
    }
    case Compression::None:
      break;
  }
  return std::make_unique<PlainCompressor>(output);
}

std::string encoder_name(CompressionChoice choice) {
  switch (choice.kind) {
    case Compression::Gzip:
      return gzip_encoder(choice.level).name;
    case Compression::Zstd:
      return "zstd-" ZSTD_VERSION_STRING "-4MiB:" + std::to_string(choice.level.value_or(kZstdLevel));
    case Compression::None:
      break;
  }
  return "none";
}

std::optional<CompressionChoice> choice_of_encoder(std::string_view name) {
  const std::size_t colon = name.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::optional<std::int64_t> level = parse_int(name.substr(colon + 1));
  if (!level || *level < -1000 || *level > 1000) return std::nullopt;
  for (const Compression kind : {Compression::Gzip, Compression::Zstd}) {
    const CompressionChoice choice{kind, static_cast<int>(*level)};
    if (encoder_name(choice) == name) return choice;
  }
  // Last, for it loads ISA-L.
  if (encoder_name({Compression::Gzip, {}}) == name) return CompressionChoice{Compression::Gzip, {}};
  return std::nullopt;
}

}  // namespace ctr
