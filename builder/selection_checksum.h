// The checksum of what a COPY selects: names, types, modes, owners where they are kept, link texts and bytes, never
// times. Equal content has one checksum on every machine. Bytes are hashed once: a file's hash is remembered by device,
// inode, size, mtime and ctime, in one compact file for a context's root.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/file.h"
#include "builder/copy_selection.h"
#include "image/digest.h"

namespace ctr {

class SourceHashes;

/// Hashes of files by their stat, kept between builds. A hash is only remembered if both times of the file are at least
/// two seconds older than the moment before it was read, and equal before and after: a file that is written twice
/// within the clock's grain would else keep an old hash. Safe for use by several threads.
class FileHashCache {
 public:
  /// Reads `file` if it is there and sound; anything odd counts as empty.
  explicit FileHashCache(fs::path file);
  /// A cache that forgets.
  FileHashCache() = default;

  std::optional<Digest> find(const struct ::stat& info);
  void remember(const struct ::stat& info, const Digest& digest);

  /// Writes what is new, keeping entries that this build used first; at most kMaxEntries. Failing is not an error.
  void save() noexcept;

  static constexpr std::size_t kMaxEntries = 2'000'000;

 private:
  struct Key {
    std::uint64_t device, inode, size;
    std::int64_t mtime_ns, ctime_ns;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const noexcept {
      return static_cast<std::size_t>((key.inode * 0x9e3779b97f4a7c15ULL) ^ key.device ^
                                      static_cast<std::uint64_t>(key.ctime_ns));
    }
  };
  struct Value {
    Digest digest;
    bool is_used = false;
  };
  static Key key_of(const struct ::stat& info);
  void load(const std::string& content);

  fs::path file_;
  std::mutex mutex_;
  std::unordered_map<Key, Value, KeyHash> entries_;
  bool is_changed_ = false;
};

/// One line of a checksum, kept for --explain: what a name below the destination stands for.
using SelectionLines = std::map<std::string, std::string>;

struct SelectionChecksum {
  Digest digest;
  SelectionLines lines;
};

/// Hashes with `threads` threads what neither `hashes` nor `passed` (files whose bytes were just seen) knows.
SelectionChecksum checksum_selections(const std::vector<Selection>& selections, FileHashCache& hashes, unsigned threads,
                                      const SourceHashes* passed = nullptr);

/// The hash of one file's bytes and the extended attributes that a layer keeps; `info` is what was found before.
/// Throws Busy if the file changes while it is read.
Digest hash_file(const SourceTree& tree, const TreeFile& file, FileHashCache& hashes);

}  // namespace ctr
