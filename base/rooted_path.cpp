#include "base/rooted_path.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>

#include "base/error.h"

namespace ctr {

namespace {

int open_resolving(int dir, const fs::path& path, int flags, mode_t mode, std::uint64_t resolve) {
  struct open_how how = {};
  how.flags = static_cast<std::uint64_t>(static_cast<unsigned>(flags | O_CLOEXEC));
  if ((flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE) how.mode = mode;
  how.resolve = resolve | RESOLVE_NO_MAGICLINKS;
  // The kernel answers EAGAIN when a rename somewhere made it unsure; it is worth asking again.
  for (int attempt = 0;; ++attempt) {
    const auto fd = static_cast<int>(::syscall(SYS_openat2, dir, path.empty() ? "." : path.c_str(), &how, sizeof how));
    if (fd >= 0 || (errno != EAGAIN && errno != EINTR) || attempt == 100) return fd;
  }
}

}  // namespace

Fd open_in_root(int root, const fs::path& path, int flags, mode_t mode) {
  return Fd(check(open_resolving(root, path, flags, mode, RESOLVE_IN_ROOT), "open", path));
}

std::optional<Fd> find_in_root(int root, const fs::path& path, int flags) {
  const int fd = open_resolving(root, path, flags, 0, RESOLVE_IN_ROOT);
  if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) return std::nullopt;
  return Fd(check(fd, "open", path));
}

Fd open_beneath(int dir, const fs::path& path, int flags, mode_t mode) {
  return Fd(check(open_resolving(dir, path, flags, mode, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS), "open", path));
}

Fd make_directories_in_root(int root, const fs::path& path, mode_t mode) {
  constexpr int kFlags = O_PATH | O_DIRECTORY;
  if (std::optional<Fd> there = find_in_root(root, path, kFlags)) return std::move(*there);
  fs::path done;
  for (const fs::path& part : path.relative_path().lexically_normal()) {
    if (part.empty() || part == ".") continue;
    const fs::path next = done / part;
    if (!find_in_root(root, next, kFlags)) {
      const Fd parent = open_in_root(root, done, kFlags);
      if (::mkdirat(parent.get(), part.c_str(), mode) != 0 && errno != EEXIST) throw_errno(errno, "create", next.native());
    }
    done = next;
  }
  return open_in_root(root, done, kFlags);
}

}  // namespace ctr
