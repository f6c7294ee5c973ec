// The data of an EROFS image: files' content is appended block by block as it comes, while nobody knows yet which inodes
// there will be. What does not fill a block (a tail) waits in a file beside it and ends up behind its inode. Holes cost
// nothing: a file that has them is made of chunks, some of which are nowhere.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/file.h"
#include "image/entry.h"

namespace ctr {

/// Writes at ascending positions through one large buffer. Gaps are holes of the file, or zeros when they are small.
class ErofsOutput {
 public:
  explicit ErofsOutput(Fd file);
  int fd() const noexcept { return file_.get(); }
  void write_at(std::uint64_t position, Bytes bytes);
  /// Room for more bytes at `position`: at least one; `advance` says how many were stored there.
  std::span<std::byte> room_at(std::uint64_t position);
  void advance(std::size_t count) noexcept { used_ += count; }
  void flush();

 private:
  Fd file_;
  std::vector<std::byte> buffer_;
  std::uint64_t begin_ = 0;
  std::size_t used_ = 0;
};

/// Where a file's content is.
struct ErofsFileData {
  struct Run {  // chunks that follow each other in the file and in the image
    std::uint32_t first_chunk = 0;
    std::uint32_t chunks = 0;
    std::uint32_t block = 0;
  };
  std::uint64_t size = 0;
  /// All blocks of a file without holes.
  std::uint32_t first_block = 0;
  /// The last bytes that are to follow the inode, and where they wait.
  std::uint32_t tail_size = 0;
  std::uint64_t tail_at = 0;
  /// With holes: chunks of 1 << chunk_bits blocks.
  bool has_holes = false;
  std::uint8_t chunk_bits = 0;
  std::vector<Run> runs = {};
};

class ErofsData {
 public:
  /// `image` is written from its second block on; tails wait in a nameless file in `directory`.
  ErofsData(Fd image, const fs::path& directory);

  /// Takes one file's content, which must have exactly `size` bytes, else throws Corrupt naming `path`.
  /// A tail of up to `tail_limit` bytes is kept for the inode.
  ErofsFileData add(const std::string& path, std::uint64_t size, std::uint64_t tail_limit, FileContent& content);

  /// The waiting tail's bytes.
  std::string tail(const ErofsFileData& data);
  /// Reads content back.
  std::size_t read_at(const ErofsFileData& data, std::uint64_t position, std::span<std::byte> buffer);
  /// Gives a replaced file's space back to the disk.
  void release(const ErofsFileData& data);

  std::uint64_t next_block() const noexcept { return next_block_; }
  ErofsOutput& output() noexcept { return image_; }

 private:
  class File;
  std::uint32_t take_blocks(std::uint64_t count);
  void punch(std::uint64_t block, std::uint64_t count);

  ErofsOutput image_;
  ErofsOutput tails_;
  std::uint64_t next_block_ = 1;
  std::uint64_t tails_end_ = 0;
};

}  // namespace ctr
