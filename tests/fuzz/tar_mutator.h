// Mutates tars for a fuzzer: after libFuzzer changed some bytes every header gets its right checksum again, without which
// no reader would look further than at the first changed one. Included by the one file of a fuzzer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace ctr {

inline void mend_tar_checksums(std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kBlock = 512;
  constexpr std::size_t kSizeAt = 124;
  constexpr std::size_t kSumAt = 148;
  for (std::size_t at = 0; at + kBlock <= size;) {
    std::uint8_t* header = data + at;
    if (header[0] == 0) {
      at += kBlock;
      continue;
    }
    std::memset(header + kSumAt, ' ', 8);
    unsigned sum = 0;
    for (std::size_t i = 0; i < kBlock; ++i) sum += header[i];
    char text[8] = {};
    std::snprintf(text, sizeof text, "%06o", sum & 0777777);
    std::memcpy(header + kSumAt, text, 7);
    std::uint64_t content = 0;
    for (std::size_t i = 0; i < 11 && header[kSizeAt + i] >= '0' && header[kSizeAt + i] <= '7'; ++i) {
      content = content * 8 + (header[kSizeAt + i] - '0');
    }
    const std::uint64_t blocks = 1 + (content + kBlock - 1) / kBlock;
    if (blocks > size / kBlock) return;
    at += static_cast<std::size_t>(blocks) * kBlock;
  }
}

}  // namespace ctr

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned) {
  const std::size_t result = LLVMFuzzerMutate(data, size, max_size);
  ctr::mend_tar_checksums(data, result);
  return result;
}
