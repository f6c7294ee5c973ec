#include "builder/archive_source.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <map>
#include <set>

#include "base/error.h"
#include "base/rooted_path.h"
#include "image/compression.h"
#include "image/tar_reader.h"

namespace ctr {

namespace {

/// An archive's bytes, decompressed.
class OpenArchive {
 public:
  OpenArchive(const SourceTree& tree, const std::string& path)
      : fd_(open_beneath(tree.root(), path, O_RDONLY | O_NOFOLLOW)), file_(fd_.get()), bytes_(file_) {}

  ByteSource& bytes() { return bytes_; }
  std::uint64_t packed_size() const {
    struct ::stat info = {};
    check(::fstat(fd_.get(), &info), "stat");
    return static_cast<std::uint64_t>(info.st_size);
  }

 private:
  Fd fd_;
  FdSource file_;
  UnpackedSource bytes_;
};

bool is_out_of_proportion(std::uint64_t unpacked, std::uint64_t packed) {
  return unpacked > kFreeArchiveBytes && unpacked / kMaxArchiveRatio > packed;
}

[[noreturn]] void refuse_bomb(std::uint64_t packed) {
  throw Error(ErrorKind::Invalid, "the archive unpacks to more than " + std::to_string(kMaxArchiveRatio) + " times its " +
                                      std::to_string(packed) + " bytes");
}

/// Finds the places of an archive's entries.
class Unpacker {
 public:
  Unpacker(const ArchiveTarget& target, LayerWriter& writer, std::uint64_t packed_size)
      : target_(target), writer_(writer), packed_size_(packed_size) {}

  void run(TarReader& reader) {
    std::uint64_t count = 0;
    while (auto entry = reader.next()) {
      if (++count > kMaxArchiveEntries) throw Error(ErrorKind::Invalid, "the archive has too many entries");
      if (entry->path.empty()) continue;
      // Holes cost no bytes of the archive, and as much to hash as others.
      unpacked_size_ += entry->size;
      if (unpacked_size_ < entry->size || is_out_of_proportion(unpacked_size_, packed_size_)) refuse_bomb(packed_size_);
      place(*entry);
      if (target_.epoch) entry->mtime = {*target_.epoch, 0};
      writer_.add(*entry, reader);
    }
  }

 private:
  void place(Entry& entry) {
    entry.path = resolved(entry.path);
    if (entry.type == EntryType::HardLink) entry.link = resolved(entry.link);
    if (entry.type == EntryType::Directory) {
      made_.insert(entry.path);
    } else {
      made_.erase(entry.path);
    }
  }

  /// The parent follows the links of the base; the last component is what is made.
  std::string resolved(const std::string& path) {
    const std::string parent(parent_path(path));
    return join_path(resolved_directory(parent), base_name(path));
  }

  std::string resolved_directory(const std::string& directory) {
    if (directory.empty()) return target_.directory;
    const auto known = directories_.find(directory);
    if (known != directories_.end()) return known->second;
    const std::string above = resolved_directory(std::string(parent_path(directory)));
    std::string path = join_path(above, base_name(directory));
    if (target_.base >= 0 && !made_.contains(path)) path = resolve_in_tree(target_.base, path, LastLink::Follow).path;
    directories_.emplace(directory, path);
    keep_attributes(path);
    return path;
  }

  /// A directory of the base that the archive only passes through keeps what it is.
  void keep_attributes(const std::string& path) {
    if (target_.base < 0 || path.empty() || made_.contains(path) || kept_.contains(path)) return;
    const auto info = find_stat(target_.base, path);
    if (!info || !S_ISDIR(info->st_mode)) return;
    keep_attributes(std::string(parent_path(path)));
    const SourceTree view(duplicate(target_.base), "base", Owners::Kept);
    Entry entry = entry_of(view, {path, *info});
    entry.path = path;
    NoContent none;
    writer_.add(entry, none);
    kept_.insert(path);
  }

  const ArchiveTarget& target_;
  LayerWriter& writer_;
  std::uint64_t packed_size_;
  std::uint64_t unpacked_size_ = 0;
  std::map<std::string, std::string> directories_;  // of the archive, to where they are
  std::set<std::string> made_;                      // directories that the archive has itself
  std::set<std::string> kept_;
};

}  // namespace

UnpackedSource::UnpackedSource(ByteSource& packed) : packed_(packed), bytes_(decompress(packed_)) {}

std::size_t UnpackedSource::Counted::read(std::span<std::byte> buffer) {
  const std::size_t count = from_.read(buffer);
  count_ += count;
  return count;
}

std::size_t UnpackedSource::read(std::span<std::byte> buffer) {
  const std::size_t count = bytes_->read(buffer);
  count_ += count;
  if (is_out_of_proportion(count_, packed_.count())) refuse_bomb(packed_.count());
  return count;
}

bool is_archive(const SourceTree& tree, const std::string& path) {
  try {
    OpenArchive archive(tree, path);
    TarReader reader(archive.bytes(), WhiteoutNames::ArePlain);
    return reader.next().has_value();
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::Corrupt) return false;
    // A tar with an entry that is refused is one: unpacking it says why.
    if (error.kind() == ErrorKind::Invalid) return true;
    throw;
  }
}

void unpack_archive(const SourceTree& tree, const std::string& path, const ArchiveTarget& target, LayerWriter& writer) {
  OpenArchive archive(tree, path);
  TarReader reader(archive.bytes(), WhiteoutNames::ArePlain);
  in_context("unpack /" + path, [&] { Unpacker(target, writer, archive.packed_size()).run(reader); });
}

}  // namespace ctr
