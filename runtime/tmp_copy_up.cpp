#include "runtime/tmp_copy_up.h"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/error.h"
#include "base/fd_path.h"
#include "base/mount.h"
#include "base/rooted_path.h"

namespace ctr {

namespace {

constexpr int kMaxDepth = 128;
constexpr std::size_t kMaxAttributes = 65536;

void copy_attributes(const std::string& from, const std::string& to) {
  std::vector<char> names(kMaxAttributes);
  const ssize_t size = ::llistxattr(from.c_str(), names.data(), names.size());
  for (ssize_t at = 0; at < size;
       at += static_cast<ssize_t>(std::char_traits<char>::length(&names[static_cast<std::size_t>(at)])) + 1) {
    const char* name = &names[static_cast<std::size_t>(at)];
    std::vector<char> value(kMaxAttributes);
    const ssize_t length = ::lgetxattr(from.c_str(), name, value.data(), value.size());
    // A tmpfs keeps no user attributes before Linux 6.6: then the copy lacks them.
    if (length >= 0) ::lsetxattr(to.c_str(), name, value.data(), static_cast<std::size_t>(length), 0);
  }
}

void copy_file(int from_dir, int to_dir, const std::string& name, const struct stat& status) {
  const Fd from = open_at(from_dir, name, O_RDONLY | O_NOFOLLOW);
  const Fd to = open_at(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  for (off_t left = status.st_size; left > 0;) {
    const ssize_t sent = check(::sendfile(to.get(), from.get(), nullptr, static_cast<std::size_t>(left)), "copy", name);
    if (sent == 0) break;
    left -= sent;
  }
}

void copy_link(int from_dir, int to_dir, const std::string& name) {
  char target[4096];
  const ssize_t size = check(::readlinkat(from_dir, name.c_str(), target, sizeof target - 1), "read the link", name);
  target[size] = '\0';
  check(::symlinkat(target, to_dir, name.c_str()), "make the link", name);
}

void copy_metadata(int from_dir, int to_dir, const std::string& name, const struct stat& status) {
  check(::fchownat(to_dir, name.c_str(), status.st_uid, status.st_gid, AT_SYMLINK_NOFOLLOW), "change the owner of",
        name);
  if (!S_ISLNK(status.st_mode)) {
    check(::fchmodat(to_dir, name.c_str(), status.st_mode & 07777, 0), "change the mode of", name);
  }
  copy_attributes(fd_path(from_dir) + "/" + name, fd_path(to_dir) + "/" + name);
  const timespec times[2] = {status.st_atim, status.st_mtim};
  check(::utimensat(to_dir, name.c_str(), times, AT_SYMLINK_NOFOLLOW), "change the time of", name);
}

void copy_tree(int from, int to, int depth) {
  if (depth > kMaxDepth) throw Error(ErrorKind::Invalid, "directories are nested too deeply to be copied");
  for (const std::string& name : list_directory_fd(from)) {
    struct stat status {};
    check(::fstatat(from, name.c_str(), &status, AT_SYMLINK_NOFOLLOW), "read", name);
    if (S_ISDIR(status.st_mode)) {
      check(::mkdirat(to, name.c_str(), 0700), "make the directory", name);
      const Fd from_child = open_at(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      const Fd to_child = open_at(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      copy_tree(from_child.get(), to_child.get(), depth + 1);
    } else if (S_ISREG(status.st_mode)) {
      copy_file(from, to, name, status);
    } else if (S_ISLNK(status.st_mode)) {
      copy_link(from, to, name);
    } else {
      check(::mknodat(to, name.c_str(), status.st_mode, status.st_rdev), "make", name);
    }
    copy_metadata(from, to, name, status);
  }
}

}  // namespace

void copy_directory_content(int from, int to) {
  copy_tree(from, to, 0);
}

Fd make_copied_tmpfs(int root, const fs::path& path, const std::vector<std::string>& options) {
  Fd mount = mount_detached("tmpfs", options);
  const auto from = find_in_root(root, path, O_RDONLY | O_DIRECTORY);
  if (!from) return mount;
  const Fd to = open_at(mount.get(), ".", O_RDONLY | O_DIRECTORY);
  copy_directory_content(from->get(), to.get());
  struct stat status {};
  check(::fstat(from->get(), &status), "read", path);
  check(::fchown(to.get(), status.st_uid, status.st_gid), "change the owner of", path);
  check(::fchmod(to.get(), status.st_mode & 07777), "change the mode of", path);
  return mount;
}

}  // namespace ctr
