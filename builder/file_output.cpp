#include "builder/file_output.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>

#include "base/error.h"
#include "base/rooted_path.h"
#include "builder/source_tree.h"

namespace ctr {

namespace {

constexpr std::size_t kBufferBytes = 256 * 1024;

void set_time(int directory, const std::string& name, const FileTime& time) {
  const struct ::timespec stamp{.tv_sec = time.seconds, .tv_nsec = static_cast<long>(time.nanoseconds)};
  const struct ::timespec times[2] = {stamp, stamp};
  check(::utimensat(directory, name.c_str(), times, AT_SYMLINK_NOFOLLOW), "set the time of", name);
}

void write_content(int fd, FileContent& content, std::uint64_t size) {
  std::string buffer(kBufferBytes, '\0');
  std::uint64_t written = 0;
  for (;;) {
    if (const std::uint64_t hole = content.skip_hole(); hole != 0) {
      written += hole;
      check(::lseek(fd, static_cast<off_t>(written), SEEK_SET), "seek");
      continue;
    }
    const std::size_t count = content.read({reinterpret_cast<std::byte*>(buffer.data()), buffer.size()});
    if (count == 0) break;
    write_all(fd, as_bytes(std::string_view(buffer).substr(0, count)));
    written += count;
  }
  check(::ftruncate(fd, static_cast<off_t>(size)), "set the size");
}

/// What is in the way of a new entry goes; a directory stays for a directory.
void clear_place(int parent, const std::string& name, EntryType type) {
  struct ::stat info = {};
  if (::fstatat(parent, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return;
  if (S_ISDIR(info.st_mode) && type == EntryType::Directory) return;
  remove_tree_at(parent, name);
}

}  // namespace

FileOutput::FileOutput(const fs::path& directory, OutputOwners owners) : owners_(owners) {
  make_directories(directory);
  root_ = open_directory(directory);
}

void FileOutput::set_owner(int directory, const std::string& name, const Entry& entry) const {
  if (owners_ == OutputOwners::Caller) return;
  check(::fchownat(directory, name.c_str(), entry.uid, entry.gid, AT_SYMLINK_NOFOLLOW), "chown", entry.path);
  if (entry.type != EntryType::Symlink)
    check(::fchmodat(directory, name.c_str(), entry.mode & 07777, 0), "chmod", entry.path);
}

Fd FileOutput::open_parent(const std::string& path) {
  const std::string parent(parent_path(path));
  return open_beneath(root_.get(), parent.empty() ? "." : parent, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

void FileOutput::add(const Entry& entry, FileContent& content) {
  if (entry.path.empty()) {
    set_owner(root_.get(), ".", entry);
    return;
  }
  const Fd parent = open_parent(entry.path);
  const std::string name(base_name(entry.path));
  clear_place(parent.get(), name, entry.type);
  added_.insert(entry.path);
  switch (entry.type) {
    case EntryType::Directory:
      if (::mkdirat(parent.get(), name.c_str(), 0700) != 0 && errno != EEXIST) throw_errno(errno, "mkdir", entry.path);
      check(::fchmodat(parent.get(), name.c_str(), entry.mode | 0700, 0), "chmod", entry.path);
      set_owner(parent.get(), name, entry);
      directories_[entry.path] = entry.mtime;
      return;
    case EntryType::File: {
      const Fd file = open_at(parent.get(), name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
      write_content(file.get(), content, entry.size);
      check(::fchmod(file.get(), entry.mode & 0777), "chmod", entry.path);
      break;
    }
    case EntryType::Symlink:
      check(::symlinkat(entry.link.c_str(), parent.get(), name.c_str()), "symlink", entry.path);
      break;
    case EntryType::HardLink: {
      const Fd target_parent = open_parent(entry.link);
      check(::linkat(target_parent.get(), std::string(base_name(entry.link)).c_str(), parent.get(), name.c_str(), 0),
            "link", entry.path);
      return;
    }
    case EntryType::Fifo:
      check(::mkfifoat(parent.get(), name.c_str(), entry.mode & 0777), "mkfifo", entry.path);
      break;
    default: return;  // devices and marks
  }
  set_owner(parent.get(), name, entry);
  set_time(parent.get(), name, entry.mtime);
}

void FileOutput::finish() {
  for (auto each = directories_.rbegin(); each != directories_.rend(); ++each) {
    const Fd parent = open_parent(each->first);
    set_time(parent.get(), std::string(base_name(each->first)), each->second);
  }
}

void FileOutput::remove_others() { remove_others_in(root_.get(), ""); }

void FileOutput::remove_others_in(int directory, const std::string& path) {
  for (const std::string& name : list_directory_fd(directory)) {
    const std::string full = join_path(path, name);
    if (!added_.contains(full)) {
      remove_tree_at(directory, name);
    } else if (directories_.contains(full)) {
      const Fd child = open_beneath(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      remove_others_in(child.get(), full);
    }
  }
}

}  // namespace ctr
