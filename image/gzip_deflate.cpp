#include "image/gzip_deflate.h"

#include <libdeflate.h>
#include <memory>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "image/isal_library.h"

namespace ctr {

namespace {

constexpr int kIsalLevel = 2;
// Without ISA-L: nearly twice as fast as level 6, for 3 % more bytes.
constexpr int kLibdeflateLevel = 2;
// A deflate block ends with the buffer of its 8192 tokens. ISA-L's own sizes begin at twice that; short blocks follow
// the content better.
constexpr std::uint32_t kIsalTokens = 8 * 1024;
constexpr std::uint32_t kIsalBufferSize = ISAL_DEF_LVL2_REQ + ISAL_DEF_LVL2_TOKEN_SIZE * kIsalTokens;

[[noreturn]] void throw_too_small() { throw Error(ErrorKind::System, "gzip: a member did not fit its bound"); }

std::size_t libdeflate_bound(std::size_t content) { return libdeflate_gzip_compress_bound(nullptr, content); }

std::size_t libdeflate_member(std::string_view content, std::span<char> member, int level) {
  struct Free {
    void operator()(libdeflate_compressor* compressor) const noexcept { libdeflate_free_compressor(compressor); }
  };
  const std::unique_ptr<libdeflate_compressor, Free> compressor(libdeflate_alloc_compressor(level));
  if (!compressor) throw Error(ErrorKind::Invalid, "gzip: level " + std::to_string(level) + " is not within 1 to 12");
  const std::size_t size =
      libdeflate_gzip_compress(compressor.get(), content.data(), content.size(), member.data(), member.size());
  if (size == 0) throw_too_small();
  return size;
}

/// Stored blocks bound the size: 5 bytes for each 64 KiB, and the member's own 18.
std::size_t isal_bound(std::size_t content) { return content + content / 1024 + 1024; }

std::size_t isal_member(std::string_view content, std::span<char> member, int level) {
  const IsalLibrary& isal = *IsalLibrary::find();
  thread_local const auto work = std::make_unique_for_overwrite<std::uint8_t[]>(kIsalBufferSize);
  struct isal_zstream stream;
  isal.deflate_init(&stream);
  stream.level = static_cast<std::uint32_t>(level);
  stream.level_buf = work.get();
  stream.level_buf_size = kIsalBufferSize;
  stream.gzip_flag = IGZIP_GZIP;
  stream.end_of_stream = 1;
  stream.next_in = reinterpret_cast<std::uint8_t*>(const_cast<char*>(content.data()));
  stream.avail_in = static_cast<std::uint32_t>(content.size());
  stream.next_out = reinterpret_cast<std::uint8_t*>(member.data());
  stream.avail_out = static_cast<std::uint32_t>(member.size());
  const int result = isal.deflate(&stream);
  if (result != COMP_OK || stream.internal_state.state != ZSTATE_END) throw_too_small();
  return stream.total_out;
}

// Text with repetitions near and far, and noise: what the variants of an encoder for different processors differ in.
std::string sample() {
  std::string text;
  std::uint32_t state = 1;
  while (text.size() < 192 * 1024) {
    state = state * 1664525 + 1013904223;
    const std::uint32_t choice = state >> 24;
    if (choice < 96 && text.size() > 4096) {
      text += text.substr(text.size() - 1 - (state >> 8) % 4096, 3 + choice);
    } else {
      text += static_cast<char>(choice < 200 ? 'a' + choice % 26 : choice);
    }
  }
  return text;
}

std::string isal_name() {
  const std::string content = sample();
  std::vector<char> member(isal_bound(content.size()));
  const std::uint32_t checksum = libdeflate_crc32(0, member.data(), isal_member(content, member, kIsalLevel));
  std::string digits(8, '0');
  for (unsigned i = 0; i < digits.size(); ++i) digits[i] = "0123456789abcdef"[checksum >> (28 - 4 * i) & 15];
  return "isal-" + digits + "-1MiB:" + std::to_string(kIsalLevel);
}

}  // namespace

PartEncoder gzip_encoder(std::optional<int> level) {
  if (!level && IsalLibrary::find() != nullptr) {
    static const std::string name = isal_name();
    return {name, kIsalLevel, isal_member, isal_bound};
  }
  const int own = level.value_or(kLibdeflateLevel);
  return {"libdeflate-" LIBDEFLATE_VERSION_STRING "-1MiB:" + std::to_string(own), own,
          libdeflate_member, libdeflate_bound};
}

}  // namespace ctr
