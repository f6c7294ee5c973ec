// The EROFS format as far as a layer needs it: 4 KiB blocks, no compression, one device. The kernel's documentation
// (Documentation/filesystems/erofs.rst) and fs/erofs/erofs_fs.h define it. All numbers on disk are little endian and are
// written by ErofsBytes field by field, so that no struct's padding or order matters.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ctr {

inline constexpr std::uint32_t kErofsBlockBits = 12;
inline constexpr std::uint64_t kErofsBlock = 1u << kErofsBlockBits;
inline constexpr std::uint64_t kErofsSuperOffset = 1024;
inline constexpr std::uint64_t kErofsSuperSize = 128;
inline constexpr std::uint32_t kErofsMagic = 0xe0f5e1e2;
/// Inodes are named by their position in units of this, from the start of the metadata.
inline constexpr std::uint64_t kErofsSlot = 32;
inline constexpr std::uint64_t kErofsCompactSize = 32;
inline constexpr std::uint64_t kErofsExtendedSize = 64;
inline constexpr std::uint64_t kErofsDirentSize = 12;
/// Block addresses have 32 bits, and the last one means a hole.
inline constexpr std::uint64_t kErofsBlockLimit = 0xfffffffe;
inline constexpr std::uint32_t kErofsNoBlock = 0xffffffff;

enum class ErofsLayout : std::uint8_t { Plain = 0, Inline = 2, Chunks = 4 };

inline constexpr std::uint32_t kErofsCompatChecksum = 0x1;
inline constexpr std::uint32_t kErofsCompatMtime = 0x2;
inline constexpr std::uint32_t kErofsIncompatChunks = 0x4;

constexpr std::uint64_t erofs_blocks(std::uint64_t bytes) { return (bytes + kErofsBlock - 1) >> kErofsBlockBits; }
constexpr std::uint64_t erofs_align(std::uint64_t value, std::uint64_t unit) { return (value + unit - 1) / unit * unit; }

/// Appends numbers as they are on disk.
class ErofsBytes {
 public:
  template <typename Number>
  ErofsBytes& put(Number value) {
    for (std::size_t i = 0; i < sizeof(Number); ++i)
      bytes_ += static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i) & 0xff);
    return *this;
  }
  ErofsBytes& u8(std::uint8_t value) { return put(value); }
  ErofsBytes& u16(std::uint16_t value) { return put(value); }
  ErofsBytes& u32(std::uint32_t value) { return put(value); }
  ErofsBytes& u64(std::uint64_t value) { return put(value); }
  ErofsBytes& text(std::string_view text) {
    bytes_ += text;
    return *this;
  }
  /// Zeros up to that size.
  ErofsBytes& pad_to(std::size_t size) {
    if (bytes_.size() < size) bytes_.resize(size, '\0');
    return *this;
  }
  std::size_t size() const noexcept { return bytes_.size(); }
  const std::string& bytes() const noexcept { return bytes_; }

 private:
  std::string bytes_;
};

}  // namespace ctr
