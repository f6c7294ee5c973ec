#include "image/erofs_data.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

#include "base/error.h"
#include "image/erofs_format.h"

namespace ctr {

namespace {

constexpr std::size_t kBufferSize = 1024 * 1024;
constexpr std::uint64_t kSmallGap = 16 * 1024;
/// So many chunks at most, whatever the size: their table stays within an inode's block.
constexpr std::uint64_t kChunkLimit = 512;
constexpr std::uint64_t kFileLimit = kErofsBlockLimit << kErofsBlockBits;  // 16 TiB, ext4's own limit

Fd make_nameless(const fs::path& directory) {
  const int fd = ::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0) return Fd(fd);
  const fs::path path = directory / "tails";
  Fd file = open_file(path, O_RDWR | O_CREAT | O_EXCL, 0600);
  check(::unlink(path.c_str()), "unlink", path);
  return file;
}

std::uint8_t chunk_bits_for(std::uint64_t size) {
  std::uint8_t bits = 0;
  while ((erofs_blocks(size) >> bits) >= kChunkLimit) ++bits;
  return bits;
}

std::size_t read_fully(int fd, std::span<std::byte> buffer, std::uint64_t position) {
  std::size_t done = 0;
  while (done < buffer.size()) {
    const ssize_t count =
        check(::pread(fd, buffer.data() + done, buffer.size() - done, static_cast<off_t>(position + done)), "read layer");
    if (count == 0) {  // behind the end: a hole that nothing was written after
      std::memset(buffer.data() + done, 0, buffer.size() - done);
      break;
    }
    done += static_cast<std::size_t>(count);
  }
  return buffer.size();
}

}  // namespace

ErofsOutput::ErofsOutput(Fd file) : file_(std::move(file)), buffer_(kBufferSize) {}

std::span<std::byte> ErofsOutput::room_at(std::uint64_t position) {
  if (position < begin_ + used_ || position - begin_ - used_ > kSmallGap || position - begin_ >= buffer_.size()) {
    flush();
    begin_ = position;
  } else if (const auto gap = static_cast<std::size_t>(position - begin_ - used_); gap > 0) {
    std::memset(buffer_.data() + used_, 0, gap);
    used_ += gap;
  }
  return std::span(buffer_).subspan(used_);
}

void ErofsOutput::write_at(std::uint64_t position, Bytes bytes) {
  while (!bytes.empty()) {
    const std::span<std::byte> room = room_at(position);
    const std::size_t count = std::min(room.size(), bytes.size());
    std::memcpy(room.data(), bytes.data(), count);
    advance(count);
    position += count;
    bytes = bytes.subspan(count);
  }
}

void ErofsOutput::flush() {
  for (std::size_t done = 0; done < used_;) {
    done += static_cast<std::size_t>(check(
        ::pwrite(file_.get(), buffer_.data() + done, used_ - done, static_cast<off_t>(begin_ + done)), "write layer"));
  }
  begin_ += used_;
  used_ = 0;
}

/// One file on its way in.
class ErofsData::File {
 public:
  File(ErofsData& area, const std::string& path, std::uint64_t size, std::uint64_t tail_limit)
      : area_(area), path_(path), tail_limit_(tail_limit), tail_begin_(size >> kErofsBlockBits << kErofsBlockBits) {
    if (size > kFileLimit) throw Error(ErrorKind::Invalid, "file " + path + " has more than 16 TiB");
    data_.size = size;
    data_.chunk_bits = chunk_bits_for(size);
    chunk_size_ = kErofsBlock << data_.chunk_bits;
  }

  ErofsFileData take(FileContent& content) {
    for (;;) {
      if (const std::uint64_t hole = content.skip_hole()) {
        if (hole > data_.size - position_) refuse_size("more");
        skip(hole);
        continue;
      }
      const std::size_t count = take_some(content);
      if (count == 0) break;
    }
    if (position_ != data_.size) refuse_size(std::to_string(position_));
    finish_tail();
    return std::move(data_);
  }

 private:
  [[noreturn]] void refuse_size(const std::string& found) const {
    throw Error(ErrorKind::Corrupt, "file " + path_ + " should have " + std::to_string(data_.size) + " bytes, but has " + found);
  }

  // Reads straight into the image's buffer where it can.
  std::size_t take_some(FileContent& content) {
    if (position_ >= tail_begin_) {
      const std::size_t count = content.read(spare_);
      if (count > data_.size - position_) refuse_size("more");
      std::memcpy(tail_.data() + (position_ - tail_begin_), spare_.data(), count);
      position_ += count;
      return count;
    }
    const std::uint64_t physical = place();
    std::span<std::byte> room = area_.image_.room_at(physical);
    const std::uint64_t wanted = std::min({chunk_size_ - position_ % chunk_size_, tail_begin_ - position_});
    const std::size_t count = content.read(room.first(static_cast<std::size_t>(std::min<std::uint64_t>(room.size(), wanted))));
    area_.image_.advance(count);
    position_ += count;
    return count;
  }

  void skip(std::uint64_t hole) {
    position_ += hole;
  }

  // Where the byte at position_ goes: its chunk gets a place when it has none yet.
  std::uint64_t place() {
    const std::uint64_t chunk = position_ / chunk_size_;
    if (next_chunk_ <= chunk) {
      const std::uint64_t rest = erofs_blocks(data_.size - chunk * chunk_size_);
      const std::uint32_t block = area_.take_blocks(std::min<std::uint64_t>(rest, chunk_size_ / kErofsBlock));
      if (data_.runs.empty() || next_chunk_ < chunk) {
        data_.has_holes |= next_chunk_ < chunk;
        data_.runs.push_back({static_cast<std::uint32_t>(chunk), 0, block});
      }
      ++data_.runs.back().chunks;
      next_chunk_ = chunk + 1;
      chunk_block_ = block;
    }
    return chunk_block_ * kErofsBlock + position_ % chunk_size_;
  }

  // The chunk of the tail may have been begun by the blocks before it, and then has room for it.
  void finish_tail() {
    const auto size = static_cast<std::uint32_t>(data_.size - tail_begin_);
    const std::uint64_t chunks_before = (tail_begin_ + chunk_size_ - 1) / chunk_size_;
    data_.has_holes |= next_chunk_ < chunks_before;
    if (size > 0 && !data_.has_holes && size <= tail_limit_) {
      give_back_tail_block();
      data_.tail_size = size;
      data_.tail_at = area_.tails_end_;
      area_.tails_.write_at(data_.tail_at, Bytes(tail_).first(size));
      area_.tails_end_ += size;
    } else if (size > 0) {
      tail_.resize(kErofsBlock);
      position_ = tail_begin_;
      area_.image_.write_at(place(), tail_);
      position_ = data_.size;
    }
    if (data_.has_holes) return;
    if (!data_.runs.empty()) data_.first_block = data_.runs.front().block;
    data_.runs = {};
  }

  // The last chunk was given a block for the tail, which is the newest of all blocks.
  void give_back_tail_block() {
    if (!data_.runs.empty() && tail_begin_ % chunk_size_ != 0) --area_.next_block_;
  }

  ErofsData& area_;
  const std::string& path_;
  std::uint64_t tail_limit_;
  std::uint64_t tail_begin_;
  std::uint64_t chunk_size_ = 0;
  std::uint64_t position_ = 0;
  std::uint64_t next_chunk_ = 0;  // chunks below this have a place or are holes
  std::uint64_t chunk_block_ = 0;
  std::vector<std::byte> tail_ = std::vector<std::byte>(kErofsBlock);
  std::array<std::byte, kErofsBlock> spare_ = {};
  ErofsFileData data_;
};

ErofsData::ErofsData(Fd image, const fs::path& directory) : image_(std::move(image)), tails_(make_nameless(directory)) {}

std::uint32_t ErofsData::take_blocks(std::uint64_t count) {
  if (next_block_ + count > kErofsBlockLimit) throw Error(ErrorKind::Invalid, "layer has more than 16 TiB");
  const std::uint64_t first = next_block_;
  next_block_ += count;
  return static_cast<std::uint32_t>(first);
}

ErofsFileData ErofsData::add(const std::string& path, std::uint64_t size, std::uint64_t tail_limit, FileContent& content) {
  const std::uint64_t before = next_block_;
  try {
    return File(*this, path, size, tail_limit).take(content);
  } catch (...) {
    next_block_ = before;
    throw;
  }
}

std::string ErofsData::tail(const ErofsFileData& data) {
  std::string bytes(data.tail_size, '\0');
  tails_.flush();
  read_fully(tails_.fd(), std::as_writable_bytes(std::span(bytes)), data.tail_at);
  return bytes;
}

std::size_t ErofsData::read_at(const ErofsFileData& data, std::uint64_t position, std::span<std::byte> buffer) {
  const std::uint64_t tail_begin = data.size - data.tail_size;
  if (position >= data.size) return 0;
  if (position >= tail_begin) {
    tails_.flush();
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), data.size - position));
    return read_fully(tails_.fd(), buffer.first(count), data.tail_at + position - tail_begin);
  }
  std::uint64_t limit = tail_begin - position;
  std::uint64_t physical = data.first_block * kErofsBlock + position;
  image_.flush();
  if (data.has_holes) {
    const std::uint64_t chunk_size = kErofsBlock << data.chunk_bits;
    const std::uint64_t chunk = position / chunk_size;
    limit = std::min(limit, chunk_size - position % chunk_size);
    const auto run = std::find_if(data.runs.begin(), data.runs.end(), [&](const ErofsFileData::Run& candidate) {
      return chunk >= candidate.first_chunk && chunk - candidate.first_chunk < candidate.chunks;
    });
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), limit));
    if (run == data.runs.end()) {
      std::memset(buffer.data(), 0, count);
      return count;
    }
    physical = run->block * kErofsBlock + (chunk - run->first_chunk) * chunk_size + position % chunk_size;
  }
  return read_fully(image_.fd(), buffer.first(static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), limit))), physical);
}

void ErofsData::punch(std::uint64_t block, std::uint64_t count) {
  // A file system that can't do it keeps the bytes: they are only useless.
  if (count > 0)
    ::fallocate(image_.fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(block * kErofsBlock),
                static_cast<off_t>(count * kErofsBlock));
}

void ErofsData::release(const ErofsFileData& data) {
  image_.flush();
  if (!data.has_holes) return punch(data.first_block, erofs_blocks(data.size - data.tail_size));
  for (const ErofsFileData::Run& run : data.runs) punch(run.block, std::uint64_t{run.chunks} << data.chunk_bits);
}

}  // namespace ctr
