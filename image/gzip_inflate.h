// Gzip streams of any number of members, inflated by ISA-L where it is installed (2.5 times as fast as zlib), by zlib
// elsewhere. ISA-L is opened on first use: no command that inflates nothing loads it.
#pragma once

#include <memory>

#include "base/bytes.h"

namespace ctr {

enum class Inflater { Best, Zlib };

/// Borrows the input. Throws Corrupt for broken or truncated data; what follows the last member and is no gzip is an
/// error too, but for zero padding.
std::unique_ptr<ByteSource> inflate_gzip(ByteSource& input, Inflater inflater = Inflater::Best);

}  // namespace ctr
