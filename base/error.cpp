#include "base/error.h"

#include <cerrno>
#include <cstring>

namespace ctr {

ErrorKind kind_of_errno(int error_number) noexcept {
  switch (error_number) {
    case ENOENT:
    case ENXIO:
    case ESRCH:
      return ErrorKind::NotFound;
    case EEXIST:
      return ErrorKind::Exists;
    case EACCES:
    case EPERM:
    case EROFS:
      return ErrorKind::Denied;
    case EBUSY:
    case EAGAIN:
    case ETXTBSY:
      return ErrorKind::Busy;
    case ENOSYS:
    case EOPNOTSUPP:
    case ECONNREFUSED:
    case ETIMEDOUT:
      return ErrorKind::Unavailable;
    case EINVAL:
    case ENAMETOOLONG:
    case ENOTDIR:
    case EISDIR:
      return ErrorKind::Invalid;
    default:
      return ErrorKind::System;
  }
}

void throw_errno(int error_number, std::string_view what, std::string_view subject) {
  std::string message(what);
  if (!subject.empty()) message.append(" ").append(subject);
  message.append(" failed: ").append(std::strerror(error_number));
  throw Error(kind_of_errno(error_number), message, error_number);
}

namespace detail {
void throw_current_errno(std::string what, std::string subject) { throw_errno(errno, what, subject); }
}  // namespace detail

}  // namespace ctr
