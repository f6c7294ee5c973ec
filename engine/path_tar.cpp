#include "engine/path_tar.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd_path.h"
#include "image/canonical_tar.h"
#include "image/entry_sources.h"

namespace ctr {

std::string link_text(int fd) {
  std::string target(4096, '\0');
  const ssize_t length = check(::readlinkat(fd, "", target.data(), target.size()), "read link");
  target.resize(static_cast<std::size_t>(length));
  return target;
}

namespace {

void give_to(Entry& entry, const std::optional<Owner>& owner) {
  if (!owner) return;
  entry.uid = owner->uid;
  entry.gid = owner->gid;
}

Entry entry_of(int fd, const std::string& name, const struct stat& status) {
  Entry entry;
  entry.path = name;
  entry.mode = status.st_mode & 07777;
  entry.uid = status.st_uid;
  entry.gid = status.st_gid;
  entry.mtime = {status.st_mtim.tv_sec, static_cast<std::uint32_t>(status.st_mtim.tv_nsec)};
  switch (status.st_mode & S_IFMT) {
    case S_IFREG:
      entry.type = EntryType::File;
      entry.size = static_cast<std::uint64_t>(status.st_size);
      break;
    case S_IFDIR: entry.type = EntryType::Directory; break;
    case S_IFLNK:
      entry.type = EntryType::Symlink;
      entry.link = link_text(fd);
      break;
    case S_IFIFO: entry.type = EntryType::Fifo; break;
    case S_IFCHR:
    case S_IFBLK:
      entry.type = S_ISCHR(status.st_mode) ? EntryType::CharacterDevice : EntryType::BlockDevice;
      entry.device_major = major(status.st_rdev);
      entry.device_minor = minor(status.st_rdev);
      break;
    default: throw Error(ErrorKind::Invalid, name + " is a socket: it can't be copied");
  }
  return entry;
}

class FileOfFd final : public FileContent {
 public:
  explicit FileOfFd(int fd) : source_(fd) {}
  std::size_t read(std::span<std::byte> buffer) override { return source_.read(buffer); }

 private:
  FdSource source_;
};

void write_file_entry(CanonicalTarWriter& tar, int fd, const Entry& entry) {
  if (entry.type != EntryType::File) {
    NoContent nothing;
    tar.add(entry, nothing);
    return;
  }
  const Fd file = open_file(fd_path(fd), O_RDONLY | O_NONBLOCK);
  FileOfFd content(file.get());
  tar.add(entry, content);
}

/// A directory's entries below `name`; "" gives them as they are.
void write_tree(CanonicalTarWriter& tar, int fd, const std::string& name, const std::optional<Owner>& owner) {
  DirectorySource tree(fd, TreeKind::Plain, overlay_xattrs_of_this_process());
  while (std::optional<Entry> entry = tree.next()) {
    if (entry->path.empty()) continue;
    give_to(*entry, owner);
    if (!name.empty()) {
      entry->path = name + "/" + entry->path;
      if (entry->type == EntryType::HardLink) entry->link = name + "/" + entry->link;
    }
    tar.add(*entry, tree);
  }
}

}  // namespace

void write_path_tar(int fd, const std::string& name, const std::optional<Owner>& owner, ByteSink& sink) {
  struct stat status {};
  check(::fstat(fd, &status), "stat", name);
  CanonicalTarWriter tar(sink);
  if (!name.empty() || !S_ISDIR(status.st_mode)) {
    Entry entry = entry_of(fd, name, status);
    give_to(entry, owner);
    write_file_entry(tar, fd, entry);
  }
  if (S_ISDIR(status.st_mode)) {
    const Fd directory = open_file(fd_path(fd), O_RDONLY | O_DIRECTORY);
    write_tree(tar, directory.get(), name, owner);
  }
  tar.finish();
}

void write_contents_tar(int fd, ByteSink& sink) { write_path_tar(fd, "", std::nullopt, sink); }

}  // namespace ctr
