// Network namespaces that outlive their maker: made empty by the calling thread, kept by a bind mount on a file, removed
// by unmounting it. A socket belongs to the namespace it was opened in, so nothing here ever runs "inside" one for long.
#pragma once

#include <functional>

#include "base/fd.h"
#include "base/file.h"

namespace ctr {

/// Makes a namespace (with `lo` down) and keeps it on `path`, a file that is created. Throws Exists when it is there.
/// Only the calling thread is in the new namespace for a moment; other threads notice nothing.
void create_network_namespace(const fs::path& path);

/// Unmounts and removes the file. Absence is fine. The kernel ends the namespace when the last process in it is gone.
void remove_network_namespace(const fs::path& path);

/// A descriptor of the namespace kept on `path`; throws NotFound when nothing is mounted there.
Fd open_network_namespace(const fs::path& path);
/// The calling thread's own.
Fd current_network_namespace();

/// Runs `body` with the calling thread inside the namespace and comes back. Meant for opening sockets and files under
/// /proc/sys/net, which stay bound to that namespace. Ends the process if the way back is barred.
void in_network_namespace(int netns, const std::function<void()>& body);

}  // namespace ctr
