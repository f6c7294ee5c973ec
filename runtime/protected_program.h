// Keeps the runtime's own file out of a container's hands (the class of CVE-2019-5736): a command that is
// "#!/proc/self/exe" makes the container execute the runtime, whose file it may then open for writing through
// /proc/PID/exe. A program that runs from a detached, read-only mount of itself cannot be opened that way by anybody.
#pragma once

#include "base/fd.h"
#include "base/file.h"

namespace ctr {

/// The program as a descriptor to execute (execveat with AT_EMPTY_PATH, or through /proc/self/fd): a read-only mount of
/// the one file, or a sealed copy in memory where mounts can't be made.
Fd open_protected_program(const fs::path& path);

/// Executes this program again from such a descriptor, unless it runs from one or nobody could write it anyway. Does not
/// return in the first case. Descriptors that are not close-on-exec stay. `program` is another one that continues the
/// same command line; empty for this one.
void run_from_protected_program(const fs::path& program = {});

}  // namespace ctr
