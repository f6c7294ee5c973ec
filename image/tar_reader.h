// Foreign tars as entries: ustar, PAX, GNU and sparse formats, read by libarchive. Whiteout file names become types.
// What a layer must not contain is refused: paths that leave it, overlay's own attributes, 0/0 devices.
#pragma once

#include <memory>
#include <optional>

#include "base/bytes.h"
#include "image/entry.h"

namespace ctr {

/// Whether ".wh." names have their OCI meaning, or are plain names (ADD of a tar, import).
enum class WhiteoutNames { AreMarks, ArePlain };

class TarReader final : public EntrySource {
 public:
  /// Reads an uncompressed tar; borrows the source. The entries keep the order of the tar. Sockets are left out.
  explicit TarReader(ByteSource& source, WhiteoutNames names = WhiteoutNames::AreMarks);
  ~TarReader() override;

  /// Throws Invalid for what is refused and Corrupt for what is no tar.
  std::optional<Entry> next() override;
  std::size_t read(std::span<std::byte> buffer) override;
  std::uint64_t skip_hole() override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ctr
