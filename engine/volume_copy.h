// Copies a directory tree with everything that makes it the same to a program: owners, modes, times, xattrs, hard links,
// links, devices and fifos. Works on directory descriptors and never follows a link, whoever changes the target
// meanwhile: a running container may have the volume too.
#pragma once

namespace ctr {

/// Copies the content of the directory `from` into the directory `to`, and the directory's own owner, mode, times and
/// xattrs. What exists in `to` under the same name is replaced, unless both are directories.
void copy_directory(int from, int to);

}  // namespace ctr
