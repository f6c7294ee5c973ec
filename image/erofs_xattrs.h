// Extended attributes of an EROFS image. What several inodes have is stored once in a shared area and named by its
// offset; the rest stands behind the inode. All of an image's attributes are counted first, then encoded, so that the
// bytes don't depend on any order.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>

#include "image/entry.h"

namespace ctr {

class ErofsXattrs {
 public:
  /// Throws Invalid, naming `path`, for what Linux would refuse to set. Of every entry, also of those that are replaced.
  static void check_values(const std::string& path, const Xattrs& xattrs);
  /// Counts the attributes of one inode. Throws Invalid, naming `path`, for what EROFS can't hold.
  void count(const std::string& path, const Xattrs& xattrs);
  /// Decides what is shared; nothing may be counted afterwards.
  void share();

  /// What follows an inode with these attributes; empty for none.
  std::string encode(const Xattrs& xattrs) const;
  /// At most this many bytes will follow an inode with these attributes.
  static std::uint64_t size_limit(const Xattrs& xattrs);
  const std::string& shared_area() const noexcept { return shared_; }

 private:
  using Key = std::tuple<std::uint8_t, std::string, std::string>;  // index of the prefix, rest of the name, value

  static Key key_of(std::string_view name, const std::string& value);
  static std::uint64_t entry_size(const Key& key);
  static std::string entry_bytes(const Key& key);

  std::map<Key, std::uint64_t> counts_;  // after share(): the offsets of shared ones
  std::string shared_;
};

}  // namespace ctr
