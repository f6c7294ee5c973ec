#include "image/merged_tree.h"

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <fcntl.h>
#include <set>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <vector>

#include "base/error.h"
#include "base/fd_path.h"
#include "base/mount.h"
#include "base/rooted_path.h"
#include "image/entry_list.h"
#include "image/entry_sources.h"
#include "image/held_owner.h"

namespace ctr {

namespace {

constexpr std::uint64_t kEntryListLimit = 4096 * kMiB;
constexpr std::size_t kCopyBufferSize = 256 * 1024;

/// What must fail without rights that a container may lack: the entry lists of the layers know better.
bool is_missing_right(int error) { return error == EPERM || error == EINVAL || error == ENOTSUP; }

/// A layer's entries, parents that its tar left out included. An image has no list; its tree says the same.
std::string entry_list(const LayerStore& layers, const Digest& diff_id) {
  const LayerInfo info = layers.info(diff_id);
  if (auto list = find_file(layers.tree_path(diff_id).parent_path() / "entries", kEntryListLimit)) return *std::move(list);
  EntryListWriter list;
  for (const std::string& path : info.implied) list.add(Entry{path, EntryType::Directory, 0755}, true);
  const std::unique_ptr<EntrySource> entries = layers.read(diff_id);
  while (const std::optional<Entry> entry = entries->next()) list.add(*entry, false);
  return std::move(list).finish();
}

/// Puts one layer on top of what is in the tree.
class LayerMerger {
 public:
  LayerMerger(const LayerStore& layers, const Digest& diff_id, int target, MergedFiles files, const OwnerShift& shift)
      : source_(layers.open_tree(diff_id)), target_(target), files_(files), shift_(shift), buffer_(kCopyBufferSize) {
    list_.emplace(entry_list(layers, diff_id));
  }

  void run() {
    while (std::optional<ListedEntry> listed = list_->next()) {
      if (shift_.uid) listed->entry.uid = shift_.uid(listed->entry.uid);
      if (shift_.gid) listed->entry.gid = shift_.gid(listed->entry.gid);
      add(listed->entry, listed->is_implied);
    }
    // What is below a directory would change its time.
    for (auto last = directories_.rbegin(); last != directories_.rend(); ++last) {
      const Fd directory = open(last->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      set_attributes(*last, directory.get());
    }
  }

 private:
  void add(const Entry& entry, bool is_implied) {
    if (entry.type == EntryType::Directory) return add_directory(entry, is_implied);
    if (entry.type == EntryType::Opaque) return clear(entry.path);
    const Fd parent = open(parent_path(entry.path), O_PATH | O_DIRECTORY | O_NOFOLLOW);
    const std::string name(base_name(entry.path));
    remove_tree_at(parent.get(), name);
    if (entry.type == EntryType::Whiteout) return;
    if (entry.type == EntryType::HardLink) return link(target_, entry.link, parent.get(), name);
    if (files_ == MergedFiles::Linked && share(entry, parent.get(), name)) return;
    create(entry, parent.get(), name);
  }

  Fd open(std::string_view path, int flags) const {
    return path.empty() ? open_at(target_, ".", flags & ~O_NOFOLLOW) : open_beneath(target_, fs::path(path), flags);
  }

  void add_directory(const Entry& entry, bool is_implied) {
    bool is_new = false;
    if (!entry.path.empty()) {
      const Fd parent = open(parent_path(entry.path), O_PATH | O_DIRECTORY | O_NOFOLLOW);
      const std::string name(base_name(entry.path));
      struct stat info {};
      const bool is_there = ::fstatat(parent.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0;
      is_new = !is_there || !S_ISDIR(info.st_mode);
      if (is_there && is_new) check(::unlinkat(parent.get(), name.c_str(), 0), "replace", entry.path);
      if (is_new) check(::mkdirat(parent.get(), name.c_str(), 0700), "create directory", entry.path);
    }
    if (is_new || !is_implied) directories_.push_back(entry);
  }

  void clear(const std::string& path) {
    const Fd directory = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    for (const std::string& name : list_directory_fd(directory.get())) remove_tree_at(directory.get(), name);
  }

  static void link(int from_root, const std::string& from, int parent, const std::string& name) {
    const std::string_view directory = parent_path(from);
    const Fd source = directory.empty() ? duplicate(from_root)
                                        : open_beneath(from_root, fs::path(directory), O_PATH | O_DIRECTORY);
    check(::linkat(source.get(), std::string(base_name(from)).c_str(), parent, name.c_str(), 0), "link", from);
  }

  /// The layer's own file under a second name; false where the file system has none (or no more) of those.
  bool share(const Entry& entry, int parent, const std::string& name) {
    try {
      link(source_.get(), entry.path, parent, name);
      return true;
    } catch (const Error& error) {
      const int number = error.error_number();
      if (number == EXDEV || number == EMLINK || number == EPERM || number == ENOTSUP) return false;
      throw;
    }
  }

  void create(const Entry& entry, int parent, const std::string& name) {
    switch (entry.type) {
      case EntryType::Symlink:
        check(::symlinkat(entry.link.c_str(), parent, name.c_str()), "create link", entry.path);
        return set_attributes_at(entry, parent, name);
      case EntryType::CharacterDevice: return make_node(entry, parent, name, S_IFCHR);
      case EntryType::BlockDevice: return make_node(entry, parent, name, S_IFBLK);
      case EntryType::Fifo: return make_node(entry, parent, name, S_IFIFO);
      default: return copy_file(entry, parent, name);
    }
  }

  void copy_file(const Entry& entry, int parent, const std::string& name) {
    const Fd from = open_beneath(source_.get(), entry.path, O_RDONLY | O_NOFOLLOW);
    const Fd to = open_at(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    for (std::uint64_t done = 0; done < entry.size;) {
      // Shares the blocks where the file system can.
      const ssize_t count = ::copy_file_range(from.get(), nullptr, to.get(), nullptr,
                                              static_cast<std::size_t>(std::min<std::uint64_t>(entry.size - done, 1u << 30)), 0);
      if (count > 0) {
        done += static_cast<std::uint64_t>(count);
        continue;
      }
      if (count < 0 && errno != EINVAL && errno != EXDEV && errno != ENOSYS && errno != EOPNOTSUPP) {
        throw_errno(errno, "copy", entry.path);
      }
      const std::size_t size = FdSource(from.get()).read(buffer_);
      if (size == 0) throw Error(ErrorKind::Corrupt, "file " + entry.path + " of a layer is too short");
      write_all(to.get(), Bytes(buffer_).first(size), entry.path);
      done += size;
    }
    set_attributes(entry, to.get());
  }

  void make_node(const Entry& entry, int parent, const std::string& name, mode_t type) {
    const dev_t device = makedev(entry.device_major, entry.device_minor);
    if (::mknodat(parent, name.c_str(), type | 0600, device) != 0) {
      if (errno != EPERM) throw_errno(errno, "create device", entry.path);
      const Fd placeholder = open_at(parent, name, O_WRONLY | O_CREAT | O_EXCL, 0);
      return;
    }
    set_attributes_at(entry, parent, name);
  }

  static void check_right(int result, const char* what, const std::string& path) {
    if (result != 0 && !is_missing_right(errno)) throw_errno(errno, what, path);
  }

  // The owner first: changing it clears capabilities and the set-id bits.
  static void set_attributes(const Entry& entry, int file) {
    const int result = ::fchown(file, entry.uid, entry.gid);
    check_right(result, "set owner of", entry.path);
    if (result != 0 || !can_give_owners()) hold_owner(file, {entry.uid, entry.gid});
    check(::fchmod(file, entry.mode), "set mode of", entry.path);
    for (const auto& [name, value] : entry.xattrs) {
      check_right(::fsetxattr(file, name.c_str(), value.data(), value.size(), 0), "set attribute of", entry.path);
    }
    const timespec time{entry.mtime.seconds, entry.mtime.nanoseconds};
    const timespec times[2] = {time, time};
    check(::futimens(file, times), "set times of", entry.path);
  }

  static void set_attributes_at(const Entry& entry, int parent, const std::string& name) {
    check_right(::fchownat(parent, name.c_str(), entry.uid, entry.gid, AT_SYMLINK_NOFOLLOW), "set owner of", entry.path);
    if (entry.type != EntryType::Symlink) check(::fchmodat(parent, name.c_str(), entry.mode, 0), "set mode of", entry.path);
    const timespec time{entry.mtime.seconds, entry.mtime.nanoseconds};
    const timespec times[2] = {time, time};
    check(::utimensat(parent, name.c_str(), times, AT_SYMLINK_NOFOLLOW), "set times of", entry.path);
  }

  Fd source_;
  int target_;
  MergedFiles files_;
  const OwnerShift& shift_;
  std::optional<EntryListReader> list_;
  std::vector<Entry> directories_;
  std::vector<std::byte> buffer_;
};

/// Root on a plain file system needs no probe, which costs as much as a container's own mount.
bool is_known_to_work(const Store& store) {
  struct statfs info {};
  return overlay_xattrs_of_this_process() == OverlayXattrs::Trusted && ::statfs(store.root().c_str(), &info) == 0 &&
         (info.f_type == EXT4_SUPER_MAGIC || info.f_type == XFS_SUPER_MAGIC || info.f_type == BTRFS_SUPER_MAGIC);
}

bool probe_overlay(const Store& store) {
  if (is_known_to_work(store)) return true;
  const TempDirectory directory(store.root(), "probe");
  for (const char* name : {"lower", "lower2", "upper", "work"}) make_directories(directory.path() / name);
  OverlayMount overlay;
  overlay.lowers = {directory.path() / "lower", directory.path() / "lower2"};
  overlay.upper = directory.path() / "upper";
  overlay.work = directory.path() / "work";
  overlay.is_userxattr = overlay_xattrs_of_this_process() == OverlayXattrs::User;
  try {
    mount_overlay_detached(overlay);
    return true;
  } catch (const Error& error) {
    // A kernel without lowerdir+ has another way; everything else means no.
    return error.kind() == ErrorKind::Unavailable && error.error_number() == ENOSYS;
  }
}

/// Until files that are changed from now on get a later time than the last that were.
void wait_for_next_file_time() {
  timespec start{};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &start);
  for (;;) {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (now.tv_sec != start.tv_sec || now.tv_nsec != start.tv_nsec) return;
    const timespec pause{0, 1'000'000};
    ::nanosleep(&pause, nullptr);
  }
}

}  // namespace

bool can_mount_overlay(const Store& store) {
  static const bool can = probe_overlay(store);
  return can;
}

void merge_layers(const Store& store, const std::vector<Digest>& diff_ids, const fs::path& target, MergedFiles files,
                  const OwnerShift& shift) {
  make_directories(target, 0755);
  const Fd directory = open_directory(target);
  if (shift.uid && shift.gid) {
    check(::fchown(directory.get(), shift.uid(0), shift.gid(0)), "set owner of", target);
  }
  for (const Digest& diff_id : diff_ids) {
    LayerMerger(store.layers(), diff_id, directory.get(), files, shift).run();
  }
}

TreeStamp::TreeStamp(const fs::path& tree) : tree_(tree), stamps_(read(tree)) { wait_for_next_file_time(); }

TreeStamp::Stamps TreeStamp::read(const fs::path& tree) {
  Stamps stamps;
  const Fd root = open_directory(tree);
  DirectorySource source(root.get(), TreeKind::Plain, overlay_xattrs_of_this_process());
  while (const std::optional<Entry> entry = source.next()) {
    struct stat info {};
    check(::fstatat(root.get(), entry->path.c_str(), &info, AT_SYMLINK_NOFOLLOW), "stat", entry->path);
    stamps.emplace(entry->path, Stamp{info.st_ino, info.st_ctim.tv_sec, info.st_ctim.tv_nsec});
  }
  return stamps;
}

LayerInfo TreeStamp::write_changes(const LayerStore& store, const std::vector<std::string>& ignored) const {
  const Stamps now = read(tree_);
  // What is gone, without what was in it.
  const auto later = [](const std::string& left, const std::string& right) { return compare_paths(left, right) < 0; };
  std::set<std::string, decltype(later)> gone(later);
  const std::set<std::string> left_out(ignored.begin(), ignored.end());
  for (const auto& [path, stamp] : stamps_) {
    const std::string parent(parent_path(path));
    if (!left_out.contains(path) && !now.contains(path) && (parent.empty() || now.contains(parent))) gone.insert(path);
  }
  CanonicalLayerWriter writer(store.create());
  NoContent none;
  std::set<std::string> other_files;  // where a file took a directory's place nothing below it need be hidden
  const auto hide_until = [&](const std::string* path) {
    while (!gone.empty() && (path == nullptr || compare_paths(*gone.begin(), *path) < 0)) {
      if (!other_files.contains(std::string(parent_path(*gone.begin())))) {
        writer.add(Entry{*gone.begin(), EntryType::Whiteout}, none);
      }
      gone.erase(gone.begin());
    }
  };
  const Fd root = open_directory(tree_);
  DirectorySource source(root.get(), TreeKind::Plain, overlay_xattrs_of_this_process());
  while (const std::optional<Entry> entry = source.next()) {
    hide_until(&entry->path);
    if (entry->type != EntryType::Directory) other_files.insert(entry->path);
    if (left_out.contains(entry->path)) continue;
    const auto before = stamps_.find(entry->path);
    const auto after = now.find(entry->path);
    if (before != stamps_.end() && after != now.end() && before->second == after->second) continue;
    writer.add(*entry, source);
  }
  hide_until(nullptr);
  return writer.commit();
}

}  // namespace ctr
