#include "image/rare_compression.h"

#include <algorithm>
#include <bzlib.h>
#include <lzma.h>
#include <vector>

#include "base/error.h"

namespace ctr {

namespace {

constexpr std::size_t kBufferSize = 128 * 1024;
constexpr std::uint64_t kXzMemoryLimit = 128ULL * 1024 * 1024;

class XzSource final : public ByteSource {
 public:
  explicit XzSource(ByteSource& source) : source_(source), buffer_(kBufferSize) {
    if (::lzma_stream_decoder(&stream_, kXzMemoryLimit, LZMA_CONCATENATED) != LZMA_OK)
      throw Error(ErrorKind::System, "xz: out of memory");
  }
  ~XzSource() override { ::lzma_end(&stream_); }
  XzSource(const XzSource&) = delete;
  XzSource& operator=(const XzSource&) = delete;

  std::size_t read(std::span<std::byte> buffer) override {
    stream_.next_out = reinterpret_cast<std::uint8_t*>(buffer.data());
    stream_.avail_out = buffer.size();
    while (!is_complete_ && stream_.avail_out == buffer.size() && !buffer.empty()) step();
    return buffer.size() - stream_.avail_out;
  }

 private:
  void step() {
    if (stream_.avail_in == 0 && !is_ended_) {
      const std::size_t count = source_.read(buffer_);
      is_ended_ = count == 0;
      stream_.next_in = reinterpret_cast<const std::uint8_t*>(buffer_.data());
      stream_.avail_in = count;
    }
    switch (::lzma_code(&stream_, is_ended_ ? LZMA_FINISH : LZMA_RUN)) {
      case LZMA_OK: break;
      case LZMA_STREAM_END: is_complete_ = true; break;
      case LZMA_MEMLIMIT_ERROR: throw Error(ErrorKind::Corrupt, "xz: the data wants more than 128 MiB of memory");
      case LZMA_MEM_ERROR: throw Error(ErrorKind::System, "xz: out of memory");
      case LZMA_BUF_ERROR: throw Error(ErrorKind::Corrupt, "xz: the data ends early");
      default: throw Error(ErrorKind::Corrupt, "xz: the data is broken");
    }
  }

  ByteSource& source_;
  std::vector<std::byte> buffer_;
  ::lzma_stream stream_ = LZMA_STREAM_INIT;
  bool is_ended_ = false;
  bool is_complete_ = false;
};

class Bzip2Source final : public ByteSource {
 public:
  explicit Bzip2Source(ByteSource& source) : source_(source), buffer_(kBufferSize) { begin(); }
  ~Bzip2Source() override { ::BZ2_bzDecompressEnd(&stream_); }
  Bzip2Source(const Bzip2Source&) = delete;
  Bzip2Source& operator=(const Bzip2Source&) = delete;

  std::size_t read(std::span<std::byte> buffer) override {
    const auto room = static_cast<unsigned>(std::min<std::size_t>(buffer.size(), 1U << 30));
    stream_.next_out = reinterpret_cast<char*>(buffer.data());
    stream_.avail_out = room;
    while (stream_.avail_out == room && room > 0) {
      if (!fill()) return 0;
      step();
    }
    return room - stream_.avail_out;
  }

 private:
  void begin() {
    stream_.bzalloc = nullptr;
    stream_.bzfree = nullptr;
    stream_.opaque = nullptr;
    if (::BZ2_bzDecompressInit(&stream_, 0, 0) != BZ_OK) throw Error(ErrorKind::System, "bzip2: out of memory");
  }

  /// False at the end, which is between two streams.
  bool fill() {
    if (stream_.avail_in > 0) return true;
    const std::size_t count = source_.read(buffer_);
    if (count == 0 && !is_between_) throw Error(ErrorKind::Corrupt, "bzip2: the data ends early");
    stream_.next_in = reinterpret_cast<char*>(buffer_.data());
    stream_.avail_in = static_cast<unsigned>(count);
    return count != 0;
  }

  void step() {
    is_between_ = false;
    const int result = ::BZ2_bzDecompress(&stream_);
    if (result == BZ_STREAM_END) {
      is_between_ = true;
      char* const next_in = stream_.next_in;
      const unsigned avail_in = stream_.avail_in;
      char* const next_out = stream_.next_out;
      const unsigned avail_out = stream_.avail_out;
      ::BZ2_bzDecompressEnd(&stream_);
      begin();
      stream_.next_in = next_in;
      stream_.avail_in = avail_in;
      stream_.next_out = next_out;
      stream_.avail_out = avail_out;
    } else if (result == BZ_MEM_ERROR) {
      throw Error(ErrorKind::System, "bzip2: out of memory");
    } else if (result != BZ_OK) {
      throw Error(ErrorKind::Corrupt, "bzip2: the data is broken");
    }
  }

  ByteSource& source_;
  std::vector<std::byte> buffer_;
  ::bz_stream stream_ = {};
  bool is_between_ = false;
};

}  // namespace

std::unique_ptr<ByteSource> decompress_rare(Bytes first, ByteSource& input) {
  const std::string_view text = as_chars(first);
  if (text.starts_with("BZh")) return std::make_unique<Bzip2Source>(input);
  if (text.starts_with(std::string_view("\xfd" "7zXZ\0", 6))) return std::make_unique<XzSource>(input);
  return nullptr;
}

}  // namespace ctr
