// Paths through /proc/self/fd for system calls that take no descriptor.
#pragma once

#include <string>

namespace ctr {

inline std::string fd_path(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

}  // namespace ctr
