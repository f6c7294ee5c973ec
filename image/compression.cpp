#include "image/compression.h"

#include <algorithm>
#include <deque>
#include <future>
#include <libdeflate.h>
#include <utility>
#include <vector>
#include <zstd.h>

#include "base/error.h"
#include "base/task_pool.h"
#include "base/text.h"
#include "image/gzip_inflate.h"
#include "image/rare_compression.h"

namespace ctr {

namespace {

constexpr std::size_t kGzipPart = 1024 * 1024;
constexpr std::size_t kZstdPart = 4 * 1024 * 1024;
constexpr std::size_t kBufferSize = 128 * 1024;
constexpr int kGzipLevel = 6;
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

std::string deflate_member(const std::string& content, int level) {
  struct Free {
    void operator()(libdeflate_compressor* compressor) const noexcept { libdeflate_free_compressor(compressor); }
  };
  const std::unique_ptr<libdeflate_compressor, Free> compressor(libdeflate_alloc_compressor(level));
  if (!compressor) throw Error(ErrorKind::Invalid, "gzip: level " + std::to_string(level) + " is not within 1 to 12");
  std::string member(libdeflate_gzip_compress_bound(compressor.get(), content.size()), '\0');
  const std::size_t size =
      libdeflate_gzip_compress(compressor.get(), content.data(), content.size(), member.data(), member.size());
  if (size == 0) throw Error(ErrorKind::System, "gzip: a member did not fit its bound");
  member.resize(size);
  return member;
}

std::string zstd_frame(const std::string& content, int level) {
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
  std::string frame(ZSTD_compressBound(content.size()), '\0');
  frame.resize(check_zstd(ZSTD_compress2(context.get(), frame.data(), frame.size(), content.data(), content.size())));
  return frame;
}

// Cuts the stream into parts of one size, compresses each by itself, several at once, and puts the results together: a
// sequence of gzip members or zstd frames is a valid file of its kind.
class PartCompressor final : public Compressor {
 public:
  using CompressPart = std::string (*)(const std::string& content, int level);

  PartCompressor(CompressPart compress, std::size_t part_size, int level, ByteSink& output, unsigned threads)
      : compress_(compress),
        part_size_(part_size),
        level_(level),
        output_(output),
        window_(2 * std::max(threads, 1u)),
        pool_(std::max(threads, 1u)) {}

  void write(Bytes bytes) override {
    while (!bytes.empty()) {
      const std::size_t count = std::min(bytes.size(), part_size_ - part_.size());
      part_.append(as_chars(bytes.first(count)));
      bytes = bytes.subspan(count);
      if (part_.size() == part_size_) submit();
    }
  }

  void finish() override {
    if (!part_.empty() || !has_output_) submit();
    while (!pending_.empty()) write_oldest();
  }

 private:
  void submit() {
    has_output_ = true;
    if (pending_.size() >= window_) write_oldest();
    pending_.push_back(pool_.submit([content = std::make_shared<std::string>(std::move(part_)), compress = compress_,
                                     level = level_] { return compress(*content, level); }));
    part_ = {};
    part_.reserve(part_size_);
  }

  void write_oldest() {
    const std::string compressed = pending_.front().get();
    pending_.pop_front();
    output_.write(as_bytes(compressed));
  }

  CompressPart compress_;
  std::size_t part_size_;
  int level_;
  ByteSink& output_;
  std::size_t window_;
  std::string part_;
  bool has_output_ = false;
  std::deque<std::future<std::string>> pending_;
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
      return std::make_unique<PartCompressor>(deflate_member, kGzipPart, choice.level.value_or(kGzipLevel), output,
                                              threads);
    case Compression::Zstd:
      return std::make_unique<PartCompressor>(zstd_frame, kZstdPart, choice.level.value_or(kZstdLevel), output,
                                              threads);
    case Compression::None:
      break;
  }
  return std::make_unique<PlainCompressor>(output);
}

std::string encoder_name(CompressionChoice choice) {
  switch (choice.kind) {
    case Compression::Gzip:
      return "libdeflate-" LIBDEFLATE_VERSION_STRING "-1MiB:" + std::to_string(choice.level.value_or(kGzipLevel));
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
  return std::nullopt;
}

}  // namespace ctr
