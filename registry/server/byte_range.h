// Range and Content-Range, as clients send them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

namespace ctr {

struct ByteRange {
  /// Whole: the header is to be ignored (several ranges, another unit, nonsense).
  enum class Kind { Whole, Part, Unsatisfiable } kind = Kind::Whole;
  std::uint64_t first = 0;
  std::uint64_t last = 0;  ///< included
};

/// RFC 9110, 14.2: "bytes=0-99", "bytes=100-", "bytes=-5" of a representation of `size` bytes.
ByteRange parse_byte_range(std::string_view header, std::uint64_t size);

/// "0-99" or "bytes 0-99/200" of an upload's chunk: first and last byte. Nothing if malformed.
std::optional<std::pair<std::uint64_t, std::uint64_t>> parse_chunk_range(std::string_view header);

}  // namespace ctr
