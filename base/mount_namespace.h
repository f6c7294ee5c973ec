// Mount namespaces that outlive their maker: made once, pinned on a file, entered for moments. A thread of its own goes
// there and comes to an end, so the caller, which may have many threads, never leaves its place. What it makes there
// (descriptors of directories, detached mounts) is good everywhere.
#pragma once

#include <functional>
#include <vector>

#include "base/fd.h"
#include "base/file.h"

namespace ctr {

/// Runs `body` in that mount namespace, on a thread with all signals blocked; its exceptions arrive here.
void in_mount_namespace(int mount_namespace, const std::function<void()>& body);

/// Makes a mount namespace and pins it on the file `pin`, replacing an older one. It has the mounts that lead to `needed`
/// and those below the first of them, and lets go of all others, so that nobody's disk is kept busy by it; what the host
/// unmounts goes there too, and nothing that is mounted there comes out.
void create_mount_namespace(const fs::path& pin, const std::vector<fs::path>& needed);

/// The namespace pinned on `pin`; nothing if there is none. Looks from where the process's main thread is.
Fd find_mount_namespace(const fs::path& pin);

/// Lets go of it; absence is fine. What is mounted there goes with the last process or mount that uses it.
void remove_mount_namespace(const fs::path& pin);

}  // namespace ctr
