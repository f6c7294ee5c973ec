// bzip2 and xz: compressions that archives come in and layers do not. Only inflated, never made.
#pragma once

#include <memory>

#include "base/bytes.h"

namespace ctr {

/// The bytes behind any number of bzip2 or xz streams; null if `first`, the input's first 6 bytes or more, is neither.
/// Borrows the input. Throws Corrupt for broken or truncated data, and for xz that wants more than 128 MiB of memory.
std::unique_ptr<ByteSource> decompress_rare(Bytes first, ByteSource& input);

}  // namespace ctr
