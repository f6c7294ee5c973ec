// Paths inside a directory that somebody else fills: resolved by the kernel as if the directory were "/"
// (openat2, RESOLVE_IN_ROOT), so that no symbolic link and no ".." leads out, whoever changes it meanwhile.
#pragma once

#include "base/fd.h"
#include "base/file.h"

namespace ctr {

/// Opens `path` inside the directory `root`; links, absolute ones too, are followed inside it. Throws as open does.
Fd open_in_root(int root, const fs::path& path, int flags, mode_t mode = 0644);
/// Nothing for ENOENT and ENOTDIR.
std::optional<Fd> find_in_root(int root, const fs::path& path, int flags);
/// Makes the directory and its parents inside `root` as needed and opens it (O_PATH). Links are followed inside it.
Fd make_directories_in_root(int root, const fs::path& path, mode_t mode = 0755);
/// Opens below `dir` without following any link at all; throws with ELOOP when there is one.
Fd open_beneath(int dir, const fs::path& path, int flags, mode_t mode = 0644);

}  // namespace ctr
