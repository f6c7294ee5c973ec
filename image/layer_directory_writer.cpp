// The LayerWriter of the directory form. The LayerTree has decided where everything lands; what is done here happens at
// paths without links, below one directory descriptor, in a directory that only this process knows.
#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/fd_path.h"
#include "base/rooted_path.h"
#include "image/canonical_tar.h"
#include "image/held_owner.h"
#include "image/layer_directory.h"
#include "image/layer_tree.h"

namespace ctr {

namespace {

constexpr std::size_t kBufferSize = 256 * 1024;

class DirectoryWriter final : public LayerWriter {
 public:
  DirectoryWriter(const fs::path& root, const UnsyncedMarkers& markers, OverlayXattrs xattrs)
      : directory_(root, markers),
        opaque_name_(xattrs == OverlayXattrs::Trusted ? "trusted.overlay.opaque" : "user.overlay.opaque"),
        is_privileged_(xattrs == OverlayXattrs::Trusted),
        buffer_(kBufferSize) {
    check(::mkdir(directory_.tree().c_str(), 0700), "create", directory_.tree());
    tree_dir_ = open_directory(directory_.tree());
  }

  void add(const Entry& entry, FileContent& content) override {
    const LayerTree::Placement place = tree_.place(entry);
    for (const std::string& parent : place.missing_parents) make_parent(parent);
    if (place.is_noop || place.path.empty()) return;
    const bool is_directory = entry.type == EntryType::Directory || entry.type == EntryType::Opaque;
    if (place.replaced != LayerTree::Existing::Nothing) {
      const bool stays = place.replaced == LayerTree::Existing::Directory && is_directory;
      if (stays) return;
      remove_existing(place);
    }
    create(entry, place, content);
  }

  LayerInfo commit(const LayerIdentity& identity) override {
    finish_directories();
    LayerInfo info{identity};
    std::string list = list_entries(info);
    directory_.publish(info, std::move(list));
    return info;
  }

  LayerInfo commit_canonical() override {
    finish_directories();
    LayerInfo info{LayerIdentity{Digest::of(std::string_view()), 0, kCanonicalTarVersion}};
    std::string list = list_entries(info);
    Hasher hasher;
    CanonicalTarWriter tar(hasher);
    const std::unique_ptr<EntrySource> entries = read_layer_directory(directory_.tree(), list);
    while (const std::optional<Entry> entry = entries->next()) tar.add(*entry, *entries);
    tar.finish();
    info.identity.diff_id = hasher.digest();
    info.identity.tar_size = hasher.size();
    directory_.publish(info, std::move(list));
    return info;
  }

 private:
  // A descriptor of the directory that holds `path`; the last one is kept, because entries come grouped by directory.
  int parent_of(std::string_view path) {
    const std::string_view parent = parent_path(path);
    if (parent.empty()) return tree_dir_.get();
    if (!last_parent_ || last_parent_path_ != parent) {
      last_parent_ = open_beneath(tree_dir_.get(), fs::path(parent), O_PATH | O_DIRECTORY);
      last_parent_path_ = parent;
    }
    return last_parent_.get();
  }

  void make_parent(const std::string& path) {
    const std::string name(base_name(path));
    const int parent = parent_of(path);
    if (::mkdirat(parent, name.c_str(), 0700) == 0) return;
    if (errno != EEXIST) throw_errno(errno, "create directory", path);
    check(::unlinkat(parent, name.c_str(), 0), "replace", path);  // a whiteout of this layer
    check(::mkdirat(parent, name.c_str(), 0700), "create directory", path);
  }

  void remove_existing(const LayerTree::Placement& place) {
    const std::string name(base_name(place.path));
    const int parent = parent_of(place.path);
    if (place.replaced == LayerTree::Existing::Directory) {
      remove_tree_at(parent, name);
      last_parent_.reset();
    } else {
      check(::unlinkat(parent, name.c_str(), 0), "replace", place.path);
    }
  }

  void create(const Entry& entry, const LayerTree::Placement& place, FileContent& content) {
    const std::string name(base_name(place.path));
    const int parent = parent_of(place.path);
    switch (entry.type) {
      case EntryType::File:
        return write_file(entry, parent, name, content);
      case EntryType::Directory:
        check(::mkdirat(parent, name.c_str(), 0700), "create directory", place.path);
        return;  // its attributes come last, when nothing is made in it any more
      case EntryType::Symlink:
        check(::symlinkat(entry.link.c_str(), parent, name.c_str()), "create link", place.path);
        return set_attributes_at(entry, parent, name);
      case EntryType::HardLink: {
        const Fd target_dir = open_beneath_or_root(parent_path(place.link_target));
        const std::string target(base_name(place.link_target));
        check(::linkat(target_dir.get(), target.c_str(), parent, name.c_str(), 0), "link", place.path);
        return;
      }
      case EntryType::CharacterDevice:
        return make_node(entry, parent, name, S_IFCHR);
      case EntryType::BlockDevice:
        return make_node(entry, parent, name, S_IFBLK);
      case EntryType::Fifo:
        return make_node(entry, parent, name, S_IFIFO);
      case EntryType::Whiteout:
        return make_whiteout(place.path, parent, name);
      case EntryType::Opaque:
        return;
    }
  }

  Fd open_beneath_or_root(std::string_view path) {
    return path.empty() ? duplicate(tree_dir_.get())
                        : open_beneath(tree_dir_.get(), fs::path(path), O_PATH | O_DIRECTORY);
  }

  void write_file(const Entry& entry, int parent, const std::string& name, FileContent& content) {
    const Fd file = open_at(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    std::uint64_t size = 0;
    bool ends_in_hole = false;
    for (;;) {
      if (const std::uint64_t hole = content.skip_hole()) {
        size += hole;
        if (size > entry.size) break;
        check(::lseek(file.get(), static_cast<off_t>(hole), SEEK_CUR), "seek", entry.path);
        ends_in_hole = true;
        continue;
      }
      const std::size_t count = content.read(buffer_);
      if (count == 0) break;
      size += count;
      if (size > entry.size) break;
      write_all(file.get(), Bytes(buffer_).first(count), entry.path);
      ends_in_hole = false;
    }
    if (size != entry.size)
      throw Error(ErrorKind::Corrupt, "file " + entry.path + " should have " + std::to_string(entry.size) +
                                          " bytes, but has " + (size > entry.size ? "more" : std::to_string(size)));
    if (ends_in_hole) check(::ftruncate(file.get(), static_cast<off_t>(size)), "truncate", entry.path);
    set_attributes(entry, file.get());
  }

  void make_node(const Entry& entry, int parent, const std::string& name, mode_t type) {
    const dev_t device = makedev(entry.device_major, entry.device_minor);
    if (::mknodat(parent, name.c_str(), type | 0600, device) != 0) {
      if (is_privileged_ || errno != EPERM) throw_errno(errno, "create device", entry.path);
      // An ordinary user can't make devices: the list knows better, the tree has a file in its place.
      Fd placeholder = open_at(parent, name, O_WRONLY | O_CREAT | O_EXCL, 0);
      return;
    }
    set_attributes_at(entry, parent, name);
  }

  /// An overlay, on which the stores of CI containers lie, takes none: its layers are laid out by their lists.
  static void make_whiteout(const std::string& path, int parent, const std::string& name) {
    if (::mknodat(parent, name.c_str(), S_IFCHR, makedev(0, 0)) == 0) return;
    if (errno != EPERM) throw_errno(errno, "create whiteout", path);
    Fd placeholder = open_at(parent, name, O_WRONLY | O_CREAT | O_EXCL, 0);
  }

  bool owner_matters(const Entry& entry) const { return entry.uid != uid_ || entry.gid != gid_; }

  // What an ordinary user may not set is in the list alone.
  void check_owner(int result, const std::string& path) const {
    if (result != 0 && (is_privileged_ || (errno != EPERM && errno != EINVAL)))
      throw_errno(errno, "set owner of", path);
  }

  // The owner first: changing it clears capabilities and the set-id bits.
  void set_attributes(const Entry& entry, int file) const {
    if (owner_matters(entry)) {
      const int result = ::fchown(file, entry.uid, entry.gid);
      check_owner(result, entry.path);
      if (result != 0) hold_owner(file, {entry.uid, entry.gid});
    }
    check(::fchmod(file, entry.mode), "set mode of", entry.path);
    for (const auto& [name, value] : entry.xattrs) {
      if (::fsetxattr(file, name.c_str(), value.data(), value.size(), 0) == 0 || errno == ENOTSUP) continue;
      if (is_privileged_ || errno != EPERM) throw_errno(errno, "set attribute " + name + " of", entry.path);
    }
    const struct timespec times[2] = {{entry.mtime.seconds, entry.mtime.nanoseconds},
                                      {entry.mtime.seconds, entry.mtime.nanoseconds}};
    check(::futimens(file, times), "set times of", entry.path);
  }

  void set_attributes_at(const Entry& entry, int parent, const std::string& name) const {
    if (owner_matters(entry))
      check_owner(::fchownat(parent, name.c_str(), entry.uid, entry.gid, AT_SYMLINK_NOFOLLOW), entry.path);
    if (entry.type != EntryType::Symlink)
      check(::fchmodat(parent, name.c_str(), entry.mode, 0), "set mode of", entry.path);
    const struct timespec times[2] = {{entry.mtime.seconds, entry.mtime.nanoseconds},
                                      {entry.mtime.seconds, entry.mtime.nanoseconds}};
    check(::utimensat(parent, name.c_str(), times, AT_SYMLINK_NOFOLLOW), "set times of", entry.path);
  }

  void finish_directories() {
    last_parent_.reset();
    tree_.visit_children_first([&](const std::string& path, const LayerTree::Node& node) {
      if (!node.is_directory()) return;
      const Fd directory =
          path.empty() ? duplicate(tree_dir_.get()) : open_beneath(tree_dir_.get(), path, O_RDONLY | O_DIRECTORY);
      if (node.is_opaque) check(::fsetxattr(directory.get(), opaque_name_.c_str(), "y", 1, 0), "mark as opaque", path);
      set_attributes(*node.inode, directory.get());
    });
  }

  std::string list_entries(LayerInfo& info) const {
    EntryListWriter list;
    std::map<const Entry*, std::string> first_names;
    tree_.visit([&](const std::string& path, const LayerTree::Node& node) {
      if (!node.inode) {
        list.add(Entry{path, EntryType::Whiteout}, false);
        return;
      }
      Entry entry = *node.inode;
      entry.path = path;
      if (!node.is_directory()) {
        const auto [first, is_new] = first_names.try_emplace(node.inode.get(), path);
        if (!is_new) {
          entry = Entry{path, EntryType::HardLink, entry.mode, entry.uid, entry.gid, entry.mtime};
          entry.link = first->second;
        }
      }
      info.content_size += entry.size;
      if (node.is_implied) info.implied.push_back(path);
      list.add(entry, node.is_implied);
      if (node.is_opaque) list.add(Entry{path, EntryType::Opaque}, false);
    });
    info.entries = list.count();
    return std::move(list).finish();
  }

  NewLayerDirectory directory_;
  std::string opaque_name_;
  bool is_privileged_;
  std::uint32_t uid_ = ::geteuid();
  std::uint32_t gid_ = ::getegid();
  std::vector<std::byte> buffer_;
  Fd tree_dir_;
  Fd last_parent_;
  std::string last_parent_path_;
  LayerTree tree_;
};

}  // namespace

std::unique_ptr<LayerWriter> make_directory_writer(const fs::path& root, const UnsyncedMarkers& markers,
                                                   OverlayXattrs xattrs) {
  return std::make_unique<DirectoryWriter>(root, markers, xattrs);
}

}  // namespace ctr
