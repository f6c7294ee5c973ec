#include "image/gzip_inflate.h"

#include <algorithm>
#include <utility>
#include <vector>
#include <zlib.h>

#include "base/error.h"
#include "image/isal_library.h"

namespace ctr {

namespace {

constexpr std::size_t kInputSize = 128 * 1024;

[[noreturn]] void throw_corrupt(const std::string& why) {
  throw Error(ErrorKind::Corrupt, "gzip: " + why);
}

// The compressed bytes, with the one question that a sequence of members asks: does another one follow?
class MemberInput {
 public:
  explicit MemberInput(ByteSource& source) : source_(source), buffer_(kInputSize) {}

  Bytes available() {
    if (begin_ == end_ && !at_end_) {
      begin_ = 0;
      end_ = source_.read(buffer_);
      at_end_ = end_ == 0;
    }
    return Bytes(buffer_).subspan(begin_, end_ - begin_);
  }
  void consume(std::size_t count) { begin_ += count; }

  // Skips the zero padding that tape tools leave. Throws when something else than a member follows.
  bool has_member() {
    for (;;) {
      const Bytes bytes = available();
      if (bytes.empty()) return false;
      if (bytes[0] == std::byte{0x1f}) return true;
      if (bytes[0] != std::byte{0}) throw_corrupt("garbage after the end of the data");
      consume(1);
    }
  }

 private:
  ByteSource& source_;
  std::vector<std::byte> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  bool at_end_ = false;
};

class ZlibSource final : public ByteSource {
 public:
  explicit ZlibSource(ByteSource& source) : input_(source) {
    if (::inflateInit2(&stream_, 15 + 16) != Z_OK) throw Error(ErrorKind::System, "zlib: out of memory");
  }
  ~ZlibSource() override { ::inflateEnd(&stream_); }

  std::size_t read(std::span<std::byte> buffer) override {
    buffer = buffer.first(std::min<std::size_t>(buffer.size(), 1u << 30));
    stream_.next_out = reinterpret_cast<Bytef*>(buffer.data());
    stream_.avail_out = static_cast<uInt>(buffer.size());
    while (stream_.avail_out == buffer.size() && !buffer.empty()) {
      if (!in_member_) {
        if (!input_.has_member()) return 0;
        ::inflateReset(&stream_);
        in_member_ = true;
      }
      const Bytes bytes = input_.available();
      if (bytes.empty()) throw_corrupt("the data ends early");
      stream_.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes.data()));
      stream_.avail_in = static_cast<uInt>(bytes.size());
      const int result = ::inflate(&stream_, Z_NO_FLUSH);
      input_.consume(bytes.size() - stream_.avail_in);
      if (result == Z_STREAM_END) {
        in_member_ = false;
      } else if (result != Z_OK && result != Z_BUF_ERROR) {
        throw_corrupt(stream_.msg ? stream_.msg : "broken data");
      }
    }
    return buffer.size() - stream_.avail_out;
  }

 private:
  MemberInput input_;
  z_stream stream_ = {};
  bool in_member_ = false;
};

class IsalSource final : public ByteSource {
 public:
  IsalSource(ByteSource& source, const IsalLibrary& library)
      : input_(source), library_(library), state_(std::make_unique<struct inflate_state>()) {}

  std::size_t read(std::span<std::byte> buffer) override {
    buffer = buffer.first(std::min<std::size_t>(buffer.size(), 1u << 30));
    struct inflate_state& state = *state_;
    state.next_out = reinterpret_cast<std::uint8_t*>(buffer.data());
    state.avail_out = static_cast<std::uint32_t>(buffer.size());
    while (state.avail_out == buffer.size() && !buffer.empty()) {
      if (!in_member_) {
        if (!input_.has_member()) return 0;
        begin_member(buffer);
      }
      const Bytes bytes = input_.available();
      state.next_in = const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(bytes.data()));
      state.avail_in = static_cast<std::uint32_t>(bytes.size());
      const int result = library_.inflate(&state);
      input_.consume(bytes.size() - state.avail_in);
      if (result != ISAL_DECOMP_OK && result != ISAL_END_INPUT) throw_corrupt("broken data");
      if (state.block_state == ISAL_BLOCK_FINISH) {
        in_member_ = false;
      } else if (bytes.empty() && state.avail_out == buffer.size()) {
        throw_corrupt("the data ends early");
      }
    }
    return buffer.size() - state.avail_out;
  }

 private:
  void begin_member(std::span<std::byte> buffer) {
    library_.inflate_init(state_.get());
    state_->crc_flag = ISAL_GZIP;
    state_->next_out = reinterpret_cast<std::uint8_t*>(buffer.data());
    state_->avail_out = static_cast<std::uint32_t>(buffer.size());
    in_member_ = true;
  }

  MemberInput input_;
  const IsalLibrary& library_;
  std::unique_ptr<struct inflate_state> state_;
  bool in_member_ = false;
};

}  // namespace

std::unique_ptr<ByteSource> inflate_gzip(ByteSource& input, Inflater inflater) {
  const IsalLibrary* isal = inflater == Inflater::Best ? IsalLibrary::find() : nullptr;
  if (isal) return std::make_unique<IsalSource>(input, *isal);
  return std::make_unique<ZlibSource>(input);
}

}  // namespace ctr
