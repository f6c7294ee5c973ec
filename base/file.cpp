#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>

#include "base/error.h"
#include "base/random.h"

namespace ctr {

Fd open_file(const fs::path& path, int flags, mode_t mode) { return open_at(AT_FDCWD, path, flags, mode); }

Fd open_at(int dir, const fs::path& path, int flags, mode_t mode) {
  return Fd(check(::openat(dir, path.c_str(), flags | O_CLOEXEC, mode), "open", path));
}

std::optional<Fd> find_at(int dir, const fs::path& path, int flags) {
  const int fd = ::openat(dir, path.c_str(), flags | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return std::nullopt;
  return Fd(check(fd, "open", path));
}

Fd open_directory(const fs::path& path) { return open_file(path, O_RDONLY | O_DIRECTORY); }

std::string read_fd(int fd, std::uint64_t limit, std::string_view name) {
  struct stat info = {};
  check(::fstat(fd, &info), "stat", name);
  std::string content;
  std::size_t used = 0;
  // One byte more than the size, so that the usual file ends with the first read.
  std::size_t room = info.st_size > 0 ? static_cast<std::size_t>(info.st_size) + 1 : 4096;
  for (;;) {
    if (used > limit) {
      throw Error(ErrorKind::Invalid, "read " + std::string(name) + " failed: larger than " + std::to_string(limit));
    }
    room = std::min<std::size_t>(room, static_cast<std::size_t>(limit - used) + 1);
    content.resize(used + room);
    const ssize_t count = ::read(fd, content.data() + used, room);
    if (count < 0 && errno == EINTR) continue;
    check(count, "read", name);
    used += static_cast<std::size_t>(count);
    if (count == 0) break;
    room = std::max<std::size_t>(4096, used);
  }
  content.resize(used);
  return content;
}

std::string read_file(const fs::path& path, std::uint64_t limit) {
  return read_fd(open_file(path, O_RDONLY).get(), limit, path.native());
}

std::optional<std::string> find_file(const fs::path& path, std::uint64_t limit) {
  const std::optional<Fd> fd = find_at(AT_FDCWD, path, O_RDONLY);
  if (!fd) return std::nullopt;
  return read_fd(fd->get(), limit, path.native());
}

void write_all(int fd, Bytes bytes, std::string_view name) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    check(count, "write", name);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

void sync_directory(const fs::path& path) { check(::fsync(open_directory(path).get()), "sync", path); }

namespace {

/// Writes a temporary file beside `path` and returns its name.
fs::path write_beside(const fs::path& path, std::string_view content, Durability durability, mode_t mode) {
  fs::path temporary = path;
  temporary += "." + random_hex(6) + ".tmp";
  const Fd file = open_file(temporary, O_WRONLY | O_CREAT | O_EXCL, mode);
  try {
    write_all(file.get(), as_bytes(content), path.native());
    if (durability == Durability::Synced) check(::fdatasync(file.get()), "sync", path);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  return temporary;
}

}  // namespace

void write_file_atomic(const fs::path& path, std::string_view content, Durability durability, mode_t mode) {
  const fs::path temporary = write_beside(path, content, durability, mode);
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary.c_str());
    throw_errno(error, "replace", path.native());
  }
  if (durability == Durability::Synced) sync_directory(path.parent_path());
}

void create_file_exclusive(const fs::path& path, std::string_view content, Durability durability, mode_t mode) {
  const fs::path temporary = write_beside(path, content, durability, mode);
  const int result = ::link(temporary.c_str(), path.c_str());
  const int error = errno;
  ::unlink(temporary.c_str());
  if (result != 0) throw_errno(error, "create", path.native());
  if (durability == Durability::Synced) sync_directory(path.parent_path());
}

void write_control_file(const fs::path& path, std::string_view content) {
  const Fd file = open_file(path, O_WRONLY);
  check(::write(file.get(), content.data(), content.size()), "write", path);
}

void make_directories(const fs::path& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return;
  if (errno != ENOENT || !path.has_parent_path() || path.parent_path() == path) throw_errno(errno, "create", path.native());
  make_directories(path.parent_path(), mode);
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) throw_errno(errno, "create", path.native());
}

namespace {

struct CloseDirectory {
  void operator()(DIR* dir) const noexcept { ::closedir(dir); }
};
using DirectoryStream = std::unique_ptr<DIR, CloseDirectory>;

DirectoryStream open_stream(int dir) {
  Fd copy(check(::openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), "open a directory"));
  DIR* stream = ::fdopendir(copy.get());
  if (stream == nullptr) throw_errno(errno, "open a directory");
  copy.release();
  return DirectoryStream(stream);
}

bool is_dot(const char* name) { return name[0] == '.' && (name[1] == 0 || (name[1] == '.' && name[2] == 0)); }

/// Removes what is in `dir` and keeps a stack of open directories instead of recursing.
void empty_directory(Fd top, std::string_view name) {
  struct Level {
    Fd dir;
    std::string name;
    std::vector<std::string> directories;
  };
  const auto scan = [&](Fd dir, std::string own_name) {
    Level level{std::move(dir), std::move(own_name), {}};
    const DirectoryStream stream = open_stream(level.dir.get());
    while (const dirent* entry = ::readdir(stream.get())) {
      if (is_dot(entry->d_name)) continue;
      if (entry->d_type != DT_DIR) {
        if (::unlinkat(level.dir.get(), entry->d_name, 0) == 0 || errno == ENOENT) continue;
        if (errno != EISDIR && errno != EPERM) throw_errno(errno, "remove", entry->d_name);
      }
      level.directories.emplace_back(entry->d_name);
    }
    return level;
  };
  std::vector<Level> levels;
  levels.push_back(scan(std::move(top), std::string(name)));
  while (!levels.empty()) {
    if (levels.back().directories.empty()) {
      const std::string done = levels.back().name;
      levels.pop_back();
      if (!levels.empty() && ::unlinkat(levels.back().dir.get(), done.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) {
        throw_errno(errno, "remove", done);
      }
      continue;
    }
    std::string child = std::move(levels.back().directories.back());
    levels.back().directories.pop_back();
    const int parent = levels.back().dir.get();
    int fd = ::openat(parent, child.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == EACCES && ::fchmodat(parent, child.c_str(), 0700, 0) == 0) {
      fd = ::openat(parent, child.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    }
    if (fd < 0 && errno == ENOENT) continue;
    Fd dir(check(fd, "open", child));
    levels.push_back(scan(std::move(dir), std::move(child)));
  }
}

}  // namespace

void remove_tree_at(int dir, const std::string& name) {
  if (::unlinkat(dir, name.c_str(), 0) == 0 || errno == ENOENT) return;
  if (errno != EISDIR && errno != EPERM) throw_errno(errno, "remove", name);
  const int fd = ::openat(dir, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return;
  empty_directory(Fd(check(fd, "open", name)), name);
  if (::unlinkat(dir, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) throw_errno(errno, "remove", name);
}

void remove_tree(const fs::path& path) { remove_tree_at(AT_FDCWD, path.native()); }

bool path_exists(const fs::path& path) {
  struct stat info = {};
  return ::lstat(path.c_str(), &info) == 0;
}

std::vector<std::string> list_directory_fd(int dir) {
  std::vector<std::string> names;
  const DirectoryStream stream = open_stream(dir);
  while (const dirent* entry = ::readdir(stream.get())) {
    if (!is_dot(entry->d_name)) names.emplace_back(entry->d_name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> list_directory(const fs::path& path) {
  const std::optional<Fd> dir = find_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
  return dir ? list_directory_fd(dir->get()) : std::vector<std::string>{};
}

std::optional<std::string> find_link(const fs::path& path) {
  std::string target(4096, '\0');
  const ssize_t length = ::readlink(path.c_str(), target.data(), target.size());
  if (length < 0 && (errno == ENOENT || errno == EINVAL)) return std::nullopt;
  check(length, "read the link", path);
  target.resize(static_cast<std::size_t>(length));
  return target;
}

fs::path TempDirectory::default_parent() {
  const char* configured = std::getenv("TMPDIR");
  return configured != nullptr && *configured != '\0' ? configured : "/tmp";
}

TempDirectory::TempDirectory(const fs::path& parent, std::string_view prefix) {
  std::string path = (parent / (std::string(prefix) + ".XXXXXX")).native();
  if (::mkdtemp(path.data()) == nullptr) throw_errno(errno, "create a temporary directory in", parent.native());
  path_ = path;
}

TempDirectory::TempDirectory(TempDirectory&& other) noexcept : path_(std::exchange(other.path_, fs::path())) {}

TempDirectory::~TempDirectory() {
  if (path_.empty()) return;
  try {
    remove_tree(path_);
  } catch (const Error&) {
    // A destructor is the undo: what cannot be removed now stays for whoever looks into the parent.
  }
}

std::size_t FdSource::read(std::span<std::byte> buffer) {
  for (;;) {
    const ssize_t count = ::read(fd_, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    return static_cast<std::size_t>(check(count, "read"));
  }
}

void FdSink::write(Bytes bytes) { write_all(fd_, bytes); }

}  // namespace ctr
