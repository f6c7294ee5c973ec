#include "engine/volume_copy.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd_path.h"
#include "base/file.h"
#include "base/rooted_path.h"

namespace ctr {
namespace {

constexpr int kDeepest = 1000;
constexpr std::size_t kChunk = 1 << 20;
constexpr std::size_t kLongestXattr = 64 * 1024;

struct FileKey {
  dev_t device;
  ino_t inode;
  friend auto operator<=>(const FileKey&, const FileKey&) = default;
};

/// A file with several names is copied once, then linked: name -> path below the target.
class TreeCopy {
 public:
  explicit TreeCopy(int target) : target_(target) {}
  void copy(int from, int to, const std::string& prefix, int depth);

 private:
  void copy_entry(int from, int to, const std::string& name, const std::string& path, int depth);
  int target_;
  std::map<FileKey, std::string> copied_;
};

void copy_bytes(int from, int to, const std::string& name) {
  for (;;) {
    const ssize_t copied = ::copy_file_range(from, nullptr, to, nullptr, kChunk, 0);
    if (copied == 0) return;
    if (copied > 0) continue;
    if (errno == EINTR) continue;
    if (errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP) throw_errno(errno, "copy", name);
    break;
  }
  std::vector<char> buffer(kChunk);
  for (;;) {
    const ssize_t size = ::read(from, buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    check(size, "read", name);
    if (size == 0) return;
    write_all(to, std::as_bytes(std::span(buffer.data(), static_cast<std::size_t>(size))), name);
  }
}

void copy_xattrs(int from, int to, const std::string& name) {
  std::vector<char> names(kLongestXattr);
  const ssize_t size = ::flistxattr(from, names.data(), names.size());
  if (size < 0 && (errno == EOPNOTSUPP || errno == ENOSYS)) return;
  check(size, "list xattrs of", name);
  for (const char* attribute = names.data(); attribute < names.data() + size;
       attribute += std::char_traits<char>::length(attribute) + 1) {
    std::vector<char> value(kLongestXattr);
    const ssize_t length = ::fgetxattr(from, attribute, value.data(), value.size());
    if (length < 0) continue;  // gone, or not ours to read
    // A volume on another file system may not take each of them; the content matters more.
    (void)::fsetxattr(to, attribute, value.data(), static_cast<std::size_t>(length), 0);
  }
}

/// Owner before mode: a change of owner clears set-id bits, and xattrs after it, for it clears capabilities too.
void copy_attributes(int from, int to, const struct stat& info, const std::string& name) {
  check(::fchown(to, info.st_uid, info.st_gid), "set owner of", name);
  check(::fchmod(to, info.st_mode & 07777), "set mode of", name);
  copy_xattrs(from, to, name);
  const timespec times[2] = {info.st_atim, info.st_mtim};
  check(::futimens(to, times), "set times of", name);
}

void make_special(int from, int to, const std::string& name, const struct stat& info) {
  if (S_ISLNK(info.st_mode)) {
    std::string target(4096, '\0');
    const ssize_t length = check(::readlinkat(from, name.c_str(), target.data(), target.size()), "read link", name);
    target.resize(static_cast<std::size_t>(length));
    check(::symlinkat(target.c_str(), to, name.c_str()), "create link", name);
  } else {
    check(::mknodat(to, name.c_str(), info.st_mode, info.st_rdev), "create", name);
    // By descriptor: chmod follows links, and there may be one by now. On a link itself it fails.
    const Fd made = open_at(to, name, O_PATH | O_NOFOLLOW);
    check(::chmod(fd_path(made.get()).c_str(), info.st_mode & 07777), "set mode of", name);
  }
  check(::fchownat(to, name.c_str(), info.st_uid, info.st_gid, AT_SYMLINK_NOFOLLOW), "set owner of", name);
  const timespec times[2] = {info.st_atim, info.st_mtim};
  (void)::utimensat(to, name.c_str(), times, AT_SYMLINK_NOFOLLOW);
}

void TreeCopy::copy_entry(int from, int to, const std::string& name, const std::string& path, int depth) {
  struct stat info {};
  check(::fstatat(from, name.c_str(), &info, AT_SYMLINK_NOFOLLOW), "read", path);
  if (S_ISDIR(info.st_mode)) {
    if (::mkdirat(to, name.c_str(), 0700) != 0 && errno != EEXIST) throw_errno(errno, "create", path);
    const Fd source = open_at(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    const Fd target = open_at(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    return copy(source.get(), target.get(), path + "/", depth + 1);
  }
  if (::unlinkat(to, name.c_str(), 0) != 0 && errno != ENOENT) throw_errno(errno, "replace", path);
  if (info.st_nlink > 1) {
    const auto [known, is_new] = copied_.try_emplace({info.st_dev, info.st_ino}, path);
    if (!is_new) {
      // Directories on its way may be links by now.
      const Fd first = open_beneath(target_, known->second, O_PATH | O_NOFOLLOW);
      check(::linkat(AT_FDCWD, fd_path(first.get()).c_str(), to, name.c_str(), AT_SYMLINK_FOLLOW), "link", path);
      return;
    }
  }
  if (!S_ISREG(info.st_mode)) return make_special(from, to, name, info);
  const Fd source = open_at(from, name, O_RDONLY | O_NOFOLLOW);
  const Fd target = open_at(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  copy_bytes(source.get(), target.get(), path);
  copy_attributes(source.get(), target.get(), info, path);
}

void TreeCopy::copy(int from, int to, const std::string& prefix, int depth) {
  if (depth > kDeepest) throw Error(ErrorKind::Invalid, "copy " + prefix + ": directories are nested too deeply");
  struct stat info {};
  check(::fstat(from, &info), "read", prefix);
  for (const std::string& name : list_directory_fd(from)) copy_entry(from, to, name, prefix + name, depth);
  copy_attributes(from, to, info, prefix.empty() ? "." : prefix);
}

}  // namespace

void copy_directory(int from, int to) { TreeCopy(to).copy(from, to, "", 0); }

}  // namespace ctr
