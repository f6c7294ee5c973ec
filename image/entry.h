// Entries: the common currency of layers. A layer is a stream of entries, read from a tar, a directory or an overlay
// upper, written to a directory, an EROFS image or a tar. Whiteouts and opaque marks are types here, not file names, so
// that each form spells them its own way and no foreign stream can forge them.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace ctr {

enum class EntryType : std::uint8_t {
  File,
  Directory,
  Symlink,
  HardLink,  // another name of an earlier entry of the same layer
  CharacterDevice,
  BlockDevice,
  Fifo,
  Whiteout,  // hides what lower layers have at `path`
  Opaque,    // `path` is a directory of this layer: hides all that lower layers have in it
};

struct FileTime {
  std::int64_t seconds = 0;
  std::uint32_t nanoseconds = 0;
  friend auto operator<=>(const FileTime&, const FileTime&) = default;
};

using Xattrs = std::map<std::string, std::string>;

struct Entry {
  /// Relative, in bytes: no leading or trailing slash, no empty, "." or ".." component. "" is the root directory.
  std::string path;
  EntryType type = EntryType::File;
  /// Permission bits alone (07777).
  std::uint32_t mode = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  FileTime mtime = {};
  /// Bytes of content; 0 unless a File.
  std::uint64_t size = 0;
  /// A symbolic link's text, or the path (as above) that a hard link shares.
  std::string link = {};
  std::uint32_t device_major = 0;
  std::uint32_t device_minor = 0;
  Xattrs xattrs = {};

  friend bool operator==(const Entry&, const Entry&) = default;
};

/// The order of a canonical layer: a directory, then all below it; names by their bytes. Equal to comparing the paths
/// with '/' below every other byte.
std::strong_ordering compare_paths(std::string_view left, std::string_view right);

/// "a/b" for "a/b/c", "" for "a".
std::string_view parent_path(std::string_view path);
/// "c" for "a/b/c".
std::string_view base_name(std::string_view path);

/// A foreign path as an entry's: slashes and "." are tidied, a leading slash goes. Throws Invalid for "..", a NUL, a
/// component over 255 bytes or a path over 4096.
std::string clean_entry_path(std::string_view path);

/// The content of one file.
class FileContent : public ByteSource {
 public:
  /// How many zero bytes come next without being read (a hole), which this call skips; 0 means: read.
  virtual std::uint64_t skip_hole() { return 0; }
};

/// For entries that have no content.
class NoContent final : public FileContent {
 public:
  std::size_t read(std::span<std::byte>) override { return 0; }
};

/// The content of a text in memory, which must outlive it.
class TextContent final : public FileContent {
 public:
  explicit TextContent(std::string_view text) : source_(text) {}
  std::size_t read(std::span<std::byte> buffer) override { return source_.read(buffer); }

 private:
  StringSource source_;
};

/// A stream of entries. `next` moves on (past content that was not read); `read` gives the current entry's content.
class EntrySource : public FileContent {
 public:
  virtual std::optional<Entry> next() = 0;
};

}  // namespace ctr
