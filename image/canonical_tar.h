// The canonical tar: the one way in which this program writes a layer as a tar, so that the same tree has the same diff
// id on every machine and for ever. The rules and golden files are testdata/canonical_tar/. They have a version; an old
// version stays writable as long as a layer names it.
#pragma once

#include <memory>
#include <string>

#include "base/bytes.h"
#include "image/entry.h"

namespace ctr {

inline constexpr int kCanonicalTarVersion = 1;

/// Which extended attributes a canonical layer keeps: security.capability, user.* but overlay's, POSIX ACLs.
bool is_canonical_xattr(std::string_view name);

/// The entry as the canonical tar of that version keeps it (whole seconds, no other xattrs).
Entry canonical_entry(Entry entry);

/// Writes one canonical tar. Borrows the sink.
class CanonicalTarWriter {
 public:
  explicit CanonicalTarWriter(ByteSink& sink, int version = kCanonicalTarVersion);
  /// Writes the entry's headers. Throws Invalid when the order is wrong or the entry can't be in a layer.
  void begin(const Entry& entry);
  /// Writes content of the entry that was begun: exactly entry.size bytes in all.
  void write(Bytes content);
  void write_zeros(std::uint64_t count);
  /// Begins the entry and copies its content.
  void add(const Entry& entry, FileContent& content);
  /// Writes the end of the archive.
  void finish();

 private:
  void end_entry();

  ByteSink& sink_;
  std::string last_key_;
  std::uint64_t missing_ = 0;
  std::uint64_t padding_ = 0;
};

}  // namespace ctr
