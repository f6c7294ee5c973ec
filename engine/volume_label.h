// `z` and `Z` of -v on a machine with SELinux: the source gets the label that lets the container use it. As with Docker,
// only a container that runs under a label (--security-opt label=…) has anything relabelled: all others may use the files
// as they are. Without SELinux in the kernel both words do nothing.
#pragma once

#include <string>

#include "base/file.h"

namespace ctr {

/// `label` is that of the container's files; `mode` are the words of -v. Empty: nothing is to be relabelled. `z` means
/// every container (level s0), `Z` this one alone.
std::string volume_label(const std::string& mode, const std::string& label);

/// Labels a file or a whole tree, never following a link. File systems without labels stay as they are. Throws Invalid
/// for directories that the system needs, such as /usr.
void relabel_tree(const fs::path& source, const std::string& label);

/// Whether this kernel enforces labels.
bool has_selinux();

}  // namespace ctr
