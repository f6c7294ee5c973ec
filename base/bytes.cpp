#include "base/bytes.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/error.h"

namespace ctr {

std::size_t StringSource::read(std::span<std::byte> buffer) {
  const std::size_t count = std::min(buffer.size(), rest_.size());
  std::memcpy(buffer.data(), rest_.data(), count);
  rest_.remove_prefix(count);
  return count;
}

std::uint64_t copy_all(ByteSource& source, ByteSink& sink, std::uint64_t limit) {
  std::array<std::byte, 65536> buffer;
  std::uint64_t total = 0;
  while (const std::size_t count = source.read(buffer)) {
    total += count;
    if (total > limit) throw Error(ErrorKind::Invalid, "more than " + std::to_string(limit) + " bytes");
    sink.write(Bytes(buffer.data(), count));
  }
  return total;
}

}  // namespace ctr
