#include "base/lock.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>

#include "base/error.h"

namespace ctr {

namespace {

int operation(LockMode mode) { return mode == LockMode::Shared ? LOCK_SH : LOCK_EX; }

}  // namespace

FileLock FileLock::acquire(const fs::path& path, LockMode mode) {
  Fd file = open_file(path, O_RDWR | O_CREAT, 0600);
  while (::flock(file.get(), operation(mode)) != 0) {
    if (errno != EINTR) throw_errno(errno, "lock", path.native());
  }
  return FileLock(std::move(file));
}

std::optional<FileLock> FileLock::try_acquire(const fs::path& path, LockMode mode) {
  Fd file = open_file(path, O_RDWR | O_CREAT, 0600);
  if (::flock(file.get(), operation(mode) | LOCK_NB) == 0) return FileLock(std::move(file));
  if (errno == EWOULDBLOCK) return std::nullopt;
  throw_errno(errno, "lock", path.native());
}

}  // namespace ctr
