// The extended attributes of a file that a layer keeps: security.capability, user.* but overlay's, and POSIX ACLs.
#pragma once

#include "image/digest.h"
#include "image/entry.h"

namespace ctr {

/// Of an open file; none where the file system has no attributes.
Xattrs read_layer_xattrs(int fd);

/// Of a path below a directory, links not followed; none for anything but files and directories.
Xattrs read_layer_xattrs(int directory, const std::string& path);

/// Feeds them to a hash, so that different sets give different bytes; nothing for none.
void hash_xattrs(Hasher& hasher, const Xattrs& xattrs);

}  // namespace ctr
