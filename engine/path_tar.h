// A file or a directory tree as a tar: what `cp`, `export` and the like send. Knows no container.
#pragma once

#include <optional>
#include <string>

#include "base/bytes.h"
#include "engine/tar_extractor.h"

namespace ctr {

/// A tar of what `fd` (O_PATH is enough) is: a file or link, or a directory with all below it. Its entries begin with
/// `name`; "" gives a directory's content alone. `owner` replaces the entries' own.
void write_path_tar(int fd, const std::string& name, const std::optional<Owner>& owner, ByteSink& sink);

/// A tar of what is in the directory `fd`.
void write_contents_tar(int fd, ByteSink& sink);

/// The text of the symbolic link that `fd` (O_PATH) is.
std::string link_text(int fd);

}  // namespace ctr
