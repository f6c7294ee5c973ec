// Entry lists: the entries of a layer without their content, as one compact file beside a layer's tree. The list is the
// truth for ids, times and xattrs, which a tree written by an ordinary user can't hold.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "image/entry.h"

namespace ctr {

struct ListedEntry {
  Entry entry;
  /// A parent directory that the tar left out.
  bool is_implied = false;
};

class EntryListWriter {
 public:
  EntryListWriter();
  /// Entries with equal leading path components are short: add them in canonical order.
  void add(const Entry& entry, bool is_implied);
  std::uint64_t count() const noexcept { return count_; }
  /// The file's bytes.
  std::string finish() &&;

 private:
  std::string bytes_;
  std::string last_path_;
  std::uint64_t count_ = 0;
};

class EntryListReader {
 public:
  /// Throws Corrupt for anything that EntryListWriter doesn't write.
  explicit EntryListReader(std::string bytes);
  std::optional<ListedEntry> next();

 private:
  std::uint64_t take_number();
  std::string_view take_text(std::size_t limit);

  std::string bytes_;
  std::size_t position_ = 0;
  std::string last_path_;
};

}  // namespace ctr
