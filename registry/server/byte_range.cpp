#include "registry/server/byte_range.h"

#include <algorithm>

#include "base/text.h"

namespace ctr {

ByteRange parse_byte_range(std::string_view header, std::uint64_t size) {
  const std::string_view text = trim(header);
  if (!text.starts_with("bytes=")) return {};
  const auto parts = cut(text.substr(6), '-');
  if (!parts || text.find(',') != std::string_view::npos) return {};
  const auto first = parse_uint(trim(parts->first));
  const auto last = parse_uint(trim(parts->second));
  if (trim(parts->first).empty()) {
    if (!last) return {};
    if (*last == 0 || size == 0) return {ByteRange::Kind::Unsatisfiable};
    return {ByteRange::Kind::Part, size - std::min(*last, size), size - 1};
  }
  if (!first || (!last && !trim(parts->second).empty()) || (last && *last < *first)) return {};
  if (*first >= size) return {ByteRange::Kind::Unsatisfiable};
  return {ByteRange::Kind::Part, *first, std::min(last.value_or(size - 1), size - 1)};
}

std::optional<std::pair<std::uint64_t, std::uint64_t>> parse_chunk_range(std::string_view header) {
  std::string_view text = without_prefix(without_prefix(trim(header), "bytes"), "=");
  text = trim(text.substr(0, text.find('/')));
  const auto parts = cut(text, '-');
  if (!parts) return std::nullopt;
  const auto first = parse_uint(trim(parts->first));
  const auto last = parse_uint(trim(parts->second));
  if (!first || !last || *last < *first) return std::nullopt;
  return std::make_pair(*first, *last);
}

}  // namespace ctr
