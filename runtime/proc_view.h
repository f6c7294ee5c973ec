// Whether a container may have a /proc of its own. In a user namespace the kernel allows a fresh one only to those who
// see all of the one that is there, which is not so in a container whose runtime has masked parts of it.
#pragma once

namespace ctr {

/// Probed by mounting one, once a process; always true in the first user namespace.
bool can_mount_proc();

}  // namespace ctr
