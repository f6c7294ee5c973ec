#include "image/entry_sources.h"

#include <algorithm>
#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <map>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/fd_path.h"
#include "base/file.h"
#include "image/held_owner.h"

namespace ctr {

namespace {

std::string join_path(const std::string& directory, std::string_view name) {
  return directory.empty() ? std::string(name) : directory + "/" + std::string(name);
}

// The value of an attribute; nothing if it is gone or the file system has none.
std::optional<std::string> find_xattr(const std::string& path, const std::string& name) {
  std::string value(256, '\0');
  for (;;) {
    const ssize_t size = ::lgetxattr(path.c_str(), name.c_str(), value.data(), value.size());
    if (size >= 0) {
      value.resize(static_cast<std::size_t>(size));
      return value;
    }
    if (errno == ENODATA || errno == ENOTSUP) return std::nullopt;
    if (errno != ERANGE) throw_errno(errno, "read attribute " + name + " of", path);
    value.resize(value.size() * 16);
  }
}

std::vector<std::string> list_xattrs(const std::string& path) {
  std::string names(1024, '\0');
  for (;;) {
    const ssize_t size = ::llistxattr(path.c_str(), names.data(), names.size());
    if (size >= 0) {
      names.resize(static_cast<std::size_t>(size));
      break;
    }
    if (errno == ENOTSUP) return {};
    if (errno != ERANGE) throw_errno(errno, "list attributes of", path);
    names.resize(names.size() * 8);
  }
  std::vector<std::string> result;
  for (std::size_t begin = 0; begin < names.size();) {
    result.emplace_back(names.c_str() + begin);
    begin += result.back().size() + 1;
  }
  return result;
}

bool is_overlay_xattr(std::string_view name) {
  return name.starts_with("trusted.overlay.") || name.starts_with("user.overlay.");
}

std::optional<EntryType> type_of(const struct stat& info) {
  switch (info.st_mode & S_IFMT) {
    case S_IFREG:
      return EntryType::File;
    case S_IFDIR:
      return EntryType::Directory;
    case S_IFLNK:
      return EntryType::Symlink;
    case S_IFCHR:
      return EntryType::CharacterDevice;
    case S_IFBLK:
      return EntryType::BlockDevice;
    case S_IFIFO:
      return EntryType::Fifo;
    default:
      return std::nullopt;
  }
}

std::string read_link(int dir, const std::string& name, std::size_t size_hint) {
  std::string target(size_hint + 1, '\0');
  const ssize_t size = check(::readlinkat(dir, name.c_str(), target.data(), target.size()), "read link", name);
  if (static_cast<std::size_t>(size) > size_hint)
    throw Error(ErrorKind::Busy, "link " + name + " changed while it was read");
  target.resize(static_cast<std::size_t>(size));
  return target;
}

}  // namespace

struct DirectorySource::State {
  struct Level {
    Fd directory;
    std::string path;
    std::vector<std::string> names;
    std::size_t next = 0;
  };

  State(TreeKind given_kind, OverlayXattrs given_xattrs)
      : kind(given_kind),
        opaque_name(given_xattrs == OverlayXattrs::Trusted ? "trusted.overlay.opaque" : "user.overlay.opaque") {}

  void enter(Fd directory, std::string path) {
    Level level{std::move(directory), std::move(path), {}, 0};
    level.names = list_directory_fd(level.directory.get());
    levels.push_back(std::move(level));
  }

  // Reads attributes; removes overlay's own where that was asked for. Whether the directory is opaque.
  bool take_xattrs(const std::string& path, Xattrs& result) {
    bool is_opaque = false;
    for (const std::string& name : list_xattrs(path)) {
      if (name == kHeldOwnerXattr) continue;
      if (kind != TreeKind::Plain && is_overlay_xattr(name)) {
        if (name == opaque_name) {
          is_opaque = find_xattr(path, name) == "y";
        } else if (kind == TreeKind::AdoptedUpper && ::lremovexattr(path.c_str(), name.c_str()) != 0 &&
                   errno != ENODATA) {
          throw_errno(errno, "remove attribute " + name + " of", path);
        }
        continue;
      }
      if (std::optional<std::string> value = find_xattr(path, name)) result.emplace(name, std::move(*value));
    }
    return is_opaque;
  }

  // The entry of one name; nothing for what a layer can't hold (sockets).
  std::optional<Entry> describe(const Level& level, const std::string& name) {
    struct stat info = {};
    check(::fstatat(level.directory.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW), "stat",
          join_path(level.path, name));
    const std::optional<EntryType> type = type_of(info);
    if (!type) return std::nullopt;
    Entry entry{join_path(level.path, name), *type};
    if (*type == EntryType::CharacterDevice && info.st_rdev == 0 && kind != TreeKind::Plain) {
      entry.type = EntryType::Whiteout;
      return entry;
    }
    if (*type != EntryType::Directory && info.st_nlink > 1) {
      const auto [seen, is_first] = links.try_emplace({info.st_dev, info.st_ino}, entry.path);
      if (!is_first) {
        entry.type = EntryType::HardLink;
        entry.link = seen->second;
      }
    }
    const std::string path = fd_path(level.directory.get()) + "/" + name;
    fill(entry, info, path);
    if (entry.type == EntryType::Symlink) {
      entry.link = read_link(level.directory.get(), name, static_cast<std::size_t>(info.st_size));
    } else if (entry.type == EntryType::File || entry.type == EntryType::Directory) {
      pending_opaque = take_xattrs(path, entry.xattrs) && entry.type == EntryType::Directory;
    } else if (kind == TreeKind::AdoptedUpper) {
      Xattrs unused;
      take_xattrs(path, unused);
    }
    return entry;
  }

  static void fill(Entry& entry, const struct stat& info, const std::string& path) {
    entry.mode = info.st_mode & 07777;
    const FileOwner owner = owner_of(path, info);
    entry.uid = owner.uid;
    entry.gid = owner.gid;
    entry.mtime = {info.st_mtim.tv_sec, static_cast<std::uint32_t>(info.st_mtim.tv_nsec)};
    if (entry.type == EntryType::File) entry.size = static_cast<std::uint64_t>(info.st_size);
    if (entry.type == EntryType::CharacterDevice || entry.type == EntryType::BlockDevice) {
      entry.device_major = major(info.st_rdev);
      entry.device_minor = minor(info.st_rdev);
    }
  }

  void open_content(int dir, const std::string& name, const Entry& entry) {
    file = open_at(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    rest = entry.size;
    struct stat info = {};
    check(::fstat(file.get(), &info), "stat", entry.path);
    may_have_holes = static_cast<std::uint64_t>(info.st_blocks) * 512 < entry.size;
  }

  TreeKind kind;
  std::string opaque_name;
  std::vector<Level> levels;
  std::map<std::pair<dev_t, ino_t>, std::string> links;
  std::optional<Entry> pending;  // an opaque mark, to be given next
  bool pending_opaque = false;
  std::string descend;  // the directory whose content comes next
  bool has_descend = false;
  Fd file;
  std::uint64_t rest = 0;
  bool may_have_holes = false;
};

Entry describe_root(int directory) {
  struct stat info = {};
  check(::fstat(directory, &info), "stat", "root directory");
  Entry entry{"", EntryType::Directory};
  DirectorySource::State state(TreeKind::OverlayUpper, OverlayXattrs::Trusted);
  const std::string path = fd_path(directory) + "/.";
  DirectorySource::State::fill(entry, info, path);
  state.take_xattrs(path, entry.xattrs);
  return entry;
}

DirectorySource::DirectorySource(int directory, TreeKind kind, OverlayXattrs xattrs)
    : state_(std::make_unique<State>(kind, xattrs)) {
  state_->enter(open_at(directory, ".", O_RDONLY | O_DIRECTORY), {});
  Xattrs unused;
  if (state_->take_xattrs(fd_path(directory) + "/.", unused)) state_->pending = Entry{"", EntryType::Opaque};
}

DirectorySource::~DirectorySource() = default;

std::optional<Entry> DirectorySource::next() {
  State& state = *state_;
  state.file.reset();
  state.rest = 0;
  if (state.pending) return std::exchange(state.pending, std::nullopt);
  if (std::exchange(state.has_descend, false)) {
    const int parent = state.levels.back().directory.get();
    const std::string name(base_name(state.descend));
    state.enter(open_at(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW), std::move(state.descend));
  }
  while (!state.levels.empty()) {
    State::Level& level = state.levels.back();
    if (level.next == level.names.size()) {
      state.levels.pop_back();
      continue;
    }
    const std::string& name = level.names[level.next++];
    state.pending_opaque = false;
    std::optional<Entry> entry = state.describe(level, name);
    if (!entry) continue;
    if (entry->type == EntryType::File) state.open_content(level.directory.get(), name, *entry);
    if (entry->type == EntryType::Directory) {
      state.descend = entry->path;
      state.has_descend = true;
      if (state.pending_opaque) state.pending = Entry{entry->path, EntryType::Opaque};
    }
    return entry;
  }
  return std::nullopt;
}

std::uint64_t DirectorySource::skip_hole() {
  State& state = *state_;
  if (!state.may_have_holes || state.rest == 0) return 0;
  const off_t position = check(::lseek(state.file.get(), 0, SEEK_CUR), "seek", "file");
  off_t data = ::lseek(state.file.get(), position, SEEK_DATA);
  if (data < 0 && errno != ENXIO) {
    state.may_have_holes = false;
    check(::lseek(state.file.get(), position, SEEK_SET), "seek", "file");
    return 0;
  }
  const std::uint64_t hole = data < 0 ? state.rest : std::min(state.rest, static_cast<std::uint64_t>(data - position));
  if (data < 0) check(::lseek(state.file.get(), position + static_cast<off_t>(hole), SEEK_SET), "seek", "file");
  state.rest -= hole;
  return hole;
}

std::size_t DirectorySource::read(std::span<std::byte> buffer) {
  State& state = *state_;
  const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), state.rest));
  if (wanted == 0) return 0;
  const std::size_t count = FdSource(state.file.get()).read(buffer.first(wanted));
  if (count == 0) throw Error(ErrorKind::Busy, "a file became shorter while it was read");
  state.rest -= count;
  return count;
}

}  // namespace ctr
