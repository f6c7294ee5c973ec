#include "engine/tar_extractor.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <vector>

#include "base/error.h"
#include "base/fd_path.h"
#include "base/file.h"
#include "base/rooted_path.h"

namespace ctr {
namespace {

class Extractor {
 public:
  Extractor(int root, fs::path directory, const ExtractOptions& options)
      : root_(root), directory_(std::move(directory)), options_(options) {}

  void add(const Entry& entry, FileContent& content);
  /// Directories get their times last, for everything put into them changes these.
  void finish();

 private:
  Fd open_parent(const std::string& path) const;
  void clear_place(int parent, const std::string& name, const Entry& entry) const;
  void make(int parent, const std::string& name, const Entry& entry, FileContent& content) const;
  void set_attributes(int parent, const std::string& name, const Entry& entry) const;
  static void set_times(int parent, const std::string& name, const Entry& entry);

  int root_;
  fs::path directory_;
  const ExtractOptions& options_;
  std::vector<Entry> directories_;
};

/// Links among the parents are followed as a program in the container would, and never out of its root.
Fd Extractor::open_parent(const std::string& path) const {
  return make_directories_in_root(root_, directory_ / parent_path(path));
}

void Extractor::clear_place(int parent, const std::string& name, const Entry& entry) const {
  struct stat status {};
  if (::fstatat(parent, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return;
  const bool is_directory = S_ISDIR(status.st_mode);
  const bool wants_directory = entry.type == EntryType::Directory;
  if (is_directory && wants_directory) return;
  if (is_directory != wants_directory && options_.replace_directories == ReplaceDirectories::No) {
    throw Error(ErrorKind::Invalid, is_directory ? "cannot overwrite directory \"" + entry.path + "\" with non-directory"
                                                 : "cannot overwrite non-directory \"" + entry.path + "\" with directory");
  }
  remove_tree_at(parent, name);
}

void Extractor::make(int parent, const std::string& name, const Entry& entry, FileContent& content) const {
  const dev_t device = makedev(entry.device_major, entry.device_minor);
  switch (entry.type) {
    case EntryType::Directory:
      if (::mkdirat(parent, name.c_str(), 0700) != 0 && errno != EEXIST) throw_errno(errno, "create", entry.path);
      return;
    case EntryType::File: {
      const Fd file = open_at(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
      FdSink sink(file.get());
      copy_all(content, sink);
      return;
    }
    case EntryType::Symlink:
      check(::symlinkat(entry.link.c_str(), parent, name.c_str()), "create", entry.path);
      return;
    case EntryType::HardLink: {
      const Fd source = open_in_root(root_, directory_ / entry.link, O_PATH | O_NOFOLLOW);
      check(::linkat(AT_FDCWD, fd_path(source.get()).c_str(), parent, name.c_str(), AT_SYMLINK_FOLLOW), "link", entry.path);
      return;
    }
    case EntryType::Fifo: check(::mknodat(parent, name.c_str(), S_IFIFO | 0600, 0), "create", entry.path); return;
    case EntryType::CharacterDevice:
      check(::mknodat(parent, name.c_str(), S_IFCHR | 0600, device), "create", entry.path);
      return;
    case EntryType::BlockDevice:
      check(::mknodat(parent, name.c_str(), S_IFBLK | 0600, device), "create", entry.path);
      return;
    case EntryType::Whiteout:
    case EntryType::Opaque: return;  // names like any other in this tar; never made from it
  }
}

void Extractor::set_times(int parent, const std::string& name, const Entry& entry) {
  const timespec time = {entry.mtime.seconds, entry.mtime.nanoseconds};
  const std::array<timespec, 2> times = {time, time};
  ::utimensat(parent, name.c_str(), times.data(), AT_SYMLINK_NOFOLLOW);
}

void Extractor::set_attributes(int parent, const std::string& name, const Entry& entry) const {
  if (entry.type == EntryType::HardLink) return;
  const Owner owner = options_.owner.value_or(Owner{entry.uid, entry.gid});
  if (::geteuid() == 0) {
    check(::fchownat(parent, name.c_str(), owner.uid, owner.gid, AT_SYMLINK_NOFOLLOW), "set owner of", entry.path);
  }
  if (entry.type != EntryType::Symlink) {
    const Fd file = open_at(parent, name, O_PATH | O_NOFOLLOW);
    check(::chmod(fd_path(file.get()).c_str(), entry.mode), "set mode of", entry.path);
    for (const auto& [key, value] : entry.xattrs) {
      if (::setxattr(fd_path(file.get()).c_str(), key.c_str(), value.data(), value.size(), 0) != 0 && errno != ENOTSUP &&
          errno != EPERM) {
        throw_errno(errno, "set attribute " + key + " of", entry.path);
      }
    }
  }
  set_times(parent, name, entry);
}

void Extractor::add(const Entry& entry, FileContent& content) {
  if (entry.path.empty()) return;  // the place itself stays as it is
  const std::string name(base_name(entry.path));
  const Fd parent = open_parent(entry.path);
  clear_place(parent.get(), name, entry);
  make(parent.get(), name, entry, content);
  set_attributes(parent.get(), name, entry);
  if (entry.type == EntryType::Directory) directories_.push_back(entry);
}

void Extractor::finish() {
  for (auto entry = directories_.rbegin(); entry != directories_.rend(); ++entry) {
    const std::optional<Fd> parent = find_in_root(root_, directory_ / parent_path(entry->path), O_PATH);
    if (parent) set_times(parent->get(), std::string(base_name(entry->path)), *entry);
  }
}

}  // namespace

void extract_entries(EntrySource& entries, int root, const fs::path& directory, const ExtractOptions& options) {
  Extractor extractor(root, directory, options);
  while (const std::optional<Entry> entry = entries.next()) extractor.add(*entry, entries);
  extractor.finish();
}

}  // namespace ctr
