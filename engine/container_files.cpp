// cp: stat of a path in a container, a tar of it, and unpacking a tar into one of its directories.

#include "engine/container_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/error.h"
#include "base/fd_path.h"
#include "base/rooted_path.h"
#include "engine/container_root.h"
#include "engine/container_store.h"
#include "engine/tar_extractor.h"
#include "image/canonical_tar.h"
#include "image/entry_sources.h"
#include "image/tar_reader.h"
#include "runtime/user_lookup.h"

namespace ctr {
namespace {

[[noreturn]] void not_found(const std::string& path, const std::string& container) {
  throw Error(ErrorKind::NotFound, "Could not find the file " + path + " in container " + container);
}

std::string link_text(int fd, std::size_t size) {
  std::string target(size + 1, '\0');
  const ssize_t length = check(::readlinkat(fd, "", target.data(), target.size()), "read link");
  target.resize(static_cast<std::size_t>(length));
  return target;
}

/// The path itself; a link at its end is not followed unless asked.
Fd open_target(const ContainerPath& place, const std::string& path, const std::string& container, FollowLink follow) {
  const int flags = O_PATH | (follow == FollowLink::No ? O_NOFOLLOW : 0);
  std::optional<Fd> file = find_in_root(place.root.get(), place.path, flags);
  if (!file) not_found(path, container);
  return *std::move(file);
}

std::string base_of(const std::string& path) {
  std::string name = fs::path(path).lexically_normal().filename().native();
  if (name.empty() || name == ".") {
    name = fs::path(path).lexically_normal().parent_path().filename().native();
  }
  return name.empty() ? "/" : name;
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
      entry.link = link_text(fd, static_cast<std::size_t>(status.st_size));
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
void write_tree(CanonicalTarWriter& tar, int fd, const std::string& name) {
  DirectorySource tree(fd, TreeKind::Plain, overlay_xattrs_of_this_process());
  while (std::optional<Entry> entry = tree.next()) {
    if (entry->path.empty()) continue;
    if (!name.empty()) {
      entry->path = name + "/" + entry->path;
      if (entry->type == EntryType::HardLink) entry->link = name + "/" + entry->link;
    }
    tar.add(*entry, tree);
  }
}

}  // namespace

PathStat stat_container_path(Context& context, const std::string& container, const std::string& path) {
  const ContainerRecord record = context.containers().get(container);
  const ContainerPath place = open_container_path(context, record, path);
  const Fd file = open_target(place, path, container, FollowLink::No);
  struct stat status {};
  check(::fstat(file.get(), &status), "stat", path);
  PathStat stat;
  stat.name = base_of(path);
  stat.size = static_cast<std::uint64_t>(status.st_size);
  stat.mode = status.st_mode;
  stat.mtime_ns = std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
  if (S_ISLNK(status.st_mode)) stat.link_target = link_text(file.get(), static_cast<std::size_t>(status.st_size));
  return stat;
}

void copy_from_container(Context& context, const std::string& container, const std::string& path, FollowLink follow,
                         ByteSink& sink) {
  const ContainerRecord record = context.containers().get(container);
  const ContainerPath place = open_container_path(context, record, path);
  const Fd file = open_target(place, path, container, follow);
  struct stat status {};
  check(::fstat(file.get(), &status), "stat", path);
  const bool wants_directory = path.ends_with('/');
  if (wants_directory && !S_ISDIR(status.st_mode)) not_found(path, container);
  const std::string name = base_of(path);
  CanonicalTarWriter tar(sink);
  write_file_entry(tar, file.get(), entry_of(file.get(), name == "/" ? "" : name, status));
  if (S_ISDIR(status.st_mode)) {
    const Fd directory = open_file(fd_path(file.get()), O_RDONLY | O_DIRECTORY);
    write_tree(tar, directory.get(), name == "/" ? "" : name);
  }
  tar.finish();
}

void copy_to_container(Context& context, const std::string& container, const std::string& path, ByteSource& source,
                       const CopyToOptions& options) {
  const ContainerRecord record = context.containers().get(container);
  const ContainerPath place = open_container_path(context, record, path);
  const Fd target = open_target(place, path, container, FollowLink::Yes);
  struct stat status {};
  check(::fstat(target.get(), &status), "stat", path);
  if (!S_ISDIR(status.st_mode)) throw Error(ErrorKind::Invalid, "extraction point is not a directory");
  if (place.read_only) throw Error(ErrorKind::Denied, "container rootfs is marked read-only");
  ExtractOptions extract;
  extract.replace_directories = options.no_overwrite_dir_non_dir ? ReplaceDirectories::No : ReplaceDirectories::Yes;
  if (options.keep_owner && !record.config.user.empty()) {
    const ResolvedUser user = resolve_user(read_user_database(place.root.get()), record.config.user, {});
    extract.owner = Owner{user.uid, user.gid};
  }
  TarReader tar(source, WhiteoutNames::ArePlain);
  extract_entries(tar, place.root.get(), place.path, extract);
}

void export_container(Context& context, const std::string& container, ByteSink& sink) {
  const ContainerRecord record = context.containers().get(container);
  const Fd mount = open_container_image(context, record);
  const Fd root = open_file(fd_path(mount.get()), O_RDONLY | O_DIRECTORY);
  CanonicalTarWriter tar(sink);
  write_tree(tar, root.get(), "");
  tar.finish();
}

}  // namespace ctr
