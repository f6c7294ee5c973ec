// Archives that ADD unpacks: tar, plain or compressed, recognised by its bytes. Entries go to their places in the layer
// with the links of the base resolved inside it, as tar in a chroot would do it.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "builder/layer_plan.h"
#include "image/layer_store.h"

namespace ctr {

/// True if the file is a tar with at least one entry, in a compression that is known.
bool is_archive(const SourceTree& tree, const std::string& path);

/// Where an archive goes. Its entries keep their owners and modes: --chown and --chmod do not reach into archives.
struct ArchiveTarget {
  std::string directory;             ///< resolved, in the new file system
  int base = -1;                     ///< directory descriptor of what is below, or -1
  std::optional<std::int64_t> epoch;
};

/// Limits against archives that grow without end. What unpacks to less than the second number is never refused; what
/// is larger must not be more than so many times what it was: real archives stay far below.
inline constexpr std::uint64_t kMaxArchiveEntries = 20'000'000;
inline constexpr std::uint64_t kFreeArchiveBytes = 256 * kMiB;
inline constexpr std::uint64_t kMaxArchiveRatio = 300;

/// The decompressed bytes of an archive; throws Invalid when they are out of all proportion.
class UnpackedSource final : public ByteSource {
 public:
  /// Borrows the source.
  explicit UnpackedSource(ByteSource& packed);
  std::size_t read(std::span<std::byte> buffer) override;

 private:
  class Counted final : public ByteSource {
   public:
    explicit Counted(ByteSource& from) : from_(from) {}
    std::size_t read(std::span<std::byte> buffer) override;
    std::uint64_t count() const noexcept { return count_; }

   private:
    ByteSource& from_;
    std::uint64_t count_ = 0;
  };
  Counted packed_;
  std::unique_ptr<ByteSource> bytes_;
  std::uint64_t count_ = 0;
};

void unpack_archive(const SourceTree& tree, const std::string& path, const ArchiveTarget& target, LayerWriter& writer);

}  // namespace ctr
