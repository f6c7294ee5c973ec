#include "builder/archive_source.h"

#include <fcntl.h>

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
      : fd_(open_beneath(tree.root(), path, O_RDONLY | O_NOFOLLOW)), file_(fd_.get()), bytes_(decompress(file_)) {}

  ByteSource& bytes() { return *bytes_; }

 private:
  Fd fd_;
  FdSource file_;
  std::unique_ptr<ByteSource> bytes_;
};

/// Finds the places of an archive's entries.
class Unpacker {
 public:
  Unpacker(const ArchiveTarget& target, LayerWriter& writer) : target_(target), writer_(writer) {}

  void run(TarReader& reader) {
    std::uint64_t count = 0;
    while (auto entry = reader.next()) {
      if (++count > kMaxArchiveEntries) throw Error(ErrorKind::Invalid, "the archive has too many entries");
      if (entry->path.empty()) continue;
      place(*entry);
      if (target_.owner) {
        entry->uid = target_.owner->uid;
        entry->gid = target_.owner->gid;
      }
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
  std::map<std::string, std::string> directories_;  // of the archive, to where they are
  std::set<std::string> made_;                      // directories that the archive has itself
  std::set<std::string> kept_;
};

}  // namespace

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
  in_context("unpack /" + path, [&] { Unpacker(target, writer).run(reader); });
}

}  // namespace ctr
