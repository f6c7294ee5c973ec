// The mount option tmpcopyup: a tmpfs that starts with what the image has at that place.
#pragma once

#include <string>
#include <vector>

#include "base/file.h"

namespace ctr {

/// A detached tmpfs with these options, filled with a copy of `path` inside `root` (if there is a directory): owners,
/// modes, times, links and extended attributes too.
Fd make_copied_tmpfs(int root, const fs::path& path, const std::vector<std::string>& options);

/// Copies what is in the directory `from` into the directory `to`. Nothing outside `from` is read, no link is followed.
void copy_directory_content(int from, int to);

}  // namespace ctr
