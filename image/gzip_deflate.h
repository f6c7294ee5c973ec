// Single gzip members, from which compression.h makes whole files. The default encoder is ISA-L where it is installed
// (twice as fast as libdeflate's fastest level; layers get some 11 % larger than by gzip -6, 7 % larger than docker's),
// libdeflate elsewhere and for every level that was asked for by number.
//
// libdeflate's bytes depend on its version and level alone. ISA-L's are the same on every processor with SSE 4.2, and
// others on older and foreign ones: its name carries a checksum of what it makes of a sample, so that a name never stands
// for two kinds of bytes.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace ctr {

/// Makes one part of a compressed file.
struct PartEncoder {
  std::string name;  // "isal-9fb70a1c-1MiB:2", "libdeflate-1.14-1MiB:6"
  int level = 0;
  /// Into a buffer of bound(content.size()) bytes or more; returns how many were taken. Throws Invalid for a level that
  /// the encoder does not have.
  std::size_t (*compress)(std::string_view content, std::span<char> part, int level) = nullptr;
  std::size_t (*bound)(std::size_t content) = nullptr;
};

inline constexpr std::size_t kGzipPart = 1024 * 1024;

/// For a level of libdeflate's (1 to 12), or the default.
PartEncoder gzip_encoder(std::optional<int> level);

}  // namespace ctr
