// ISA-L, Intel's fast deflate: opened on first use, so that no command loads it that needs none, and optional, because
// zlib and libdeflate do the same more slowly.
#pragma once

#include <isa-l/igzip_lib.h>

namespace ctr {

/// The calls that we use, under their own names without the prefix.
struct IsalLibrary {
  decltype(&::isal_inflate_init) inflate_init = nullptr;
  decltype(&::isal_inflate) inflate = nullptr;
  decltype(&::isal_deflate_init) deflate_init = nullptr;
  decltype(&::isal_deflate) deflate = nullptr;

  /// nullptr where it is not installed.
  static const IsalLibrary* find();
};

}  // namespace ctr
