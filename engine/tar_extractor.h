// Unpacks entries into a directory of a container that may be hostile and running: every parent is opened inside the
// container's root by the kernel (openat2), and the last component is never followed.
#pragma once

#include <cstdint>
#include <optional>

#include "base/file.h"
#include "image/entry.h"

namespace ctr {

struct Owner {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
};
enum class ReplaceDirectories { No, Yes };

struct ExtractOptions {
  std::optional<Owner> owner;  // instead of the entries' own
  /// No: a directory in the place of a file, or the reverse, is an error.
  ReplaceDirectories replace_directories = ReplaceDirectories::No;
};

/// `root` is a descriptor of the container's root directory, `directory` a path in it.
void extract_entries(EntrySource& entries, int root, const fs::path& directory, const ExtractOptions& options);

}  // namespace ctr
