#include "base/fd.h"

#include <fcntl.h>

#include "base/error.h"

namespace ctr {

Pipe make_pipe(int flags) {
  int ends[2];
  check(::pipe2(ends, flags | O_CLOEXEC), "pipe");
  return {Fd(ends[0]), Fd(ends[1])};
}

Fd duplicate(int fd) { return Fd(check(::fcntl(fd, F_DUPFD_CLOEXEC, 3), "duplicate a descriptor")); }

}  // namespace ctr
