#include "image/layer_stack.h"

#include <algorithm>
#include <cerrno>
#include <deque>
#include <fcntl.h>
#include <set>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <utility>

#include "base/error.h"
#include "base/fd_path.h"
#include "base/rooted_path.h"
#include "base/text.h"
#include "image/canonical_tar.h"
#include "image/held_owner.h"
#include "image/layer_tree.h"

namespace ctr {

namespace {

constexpr int kLinkLimit = 40;

std::string path_below(const std::string& directory, const std::string& name) {
  return directory.empty() ? name : directory + "/" + name;
}

// O_PATH of a file in a layer's tree, links not followed; nothing if it isn't there.
std::optional<Fd> find_in_tree(int tree, const std::string& path) {
  if (path.empty()) return open_at(tree, ".", O_PATH | O_DIRECTORY);
  try {
    return open_beneath(tree, path, O_PATH | O_NOFOLLOW);
  } catch (const Error& error) {
    const int number = error.error_number();
    if (number == ENOENT || number == ENOTDIR || number == ELOOP) return std::nullopt;
    throw;
  }
}

struct stat stat_of(int file, const std::string& path) {
  struct stat info = {};
  check(::fstat(file, &info), "stat", path);
  return info;
}

std::string link_of(int file, const std::string& path) {
  std::string target(4096, '\0');
  const ssize_t size = check(::readlinkat(file, "", target.data(), target.size()), "read link", path);
  target.resize(static_cast<std::size_t>(size));
  return target;
}

bool is_opaque(int file) {
  const std::string path = fd_path(file);
  for (const char* name : {"trusted.overlay.opaque", "user.overlay.opaque"}) {
    char value = 0;
    if (::getxattr(path.c_str(), name, &value, 1) == 1 && value == 'y') return true;
  }
  return false;
}

Xattrs canonical_xattrs_of(int file) {
  Xattrs result;
  const std::string path = fd_path(file);
  std::string names(4096, '\0');
  const ssize_t size = ::listxattr(path.c_str(), names.data(), names.size());
  if (size <= 0) return result;
  names.resize(static_cast<std::size_t>(size));
  for (const std::string& name : split(names, '\0')) {
    if (name.empty() || !is_canonical_xattr(name)) continue;
    std::string value(65536, '\0');
    const ssize_t length = ::getxattr(path.c_str(), name.c_str(), value.data(), value.size());
    if (length < 0) continue;
    value.resize(static_cast<std::size_t>(length));
    result.emplace(name, std::move(value));
  }
  return result;
}

EntryType type_of(mode_t mode) {
  switch (mode & S_IFMT) {
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
      return EntryType::File;
  }
}

bool is_whiteout(const struct stat& info) {
  return S_ISCHR(info.st_mode) && info.st_rdev == 0;
}

std::deque<std::string> components_of(std::string_view path) {
  std::deque<std::string> result;
  for (std::string& part : split(path, '/')) {
    if (!part.empty() && part != ".") result.push_back(std::move(part));
  }
  return result;
}

}  // namespace

LayerStack::LayerStack(const LayerStore& layers, std::span<const Digest> diff_ids) {
  for (std::size_t i = diff_ids.size(); i-- > 0;) {
    LayerInfo info = layers.info(diff_ids[i]);
    std::sort(info.implied.begin(), info.implied.end());
    members_.push_back({layers.open_tree(diff_ids[i]), std::move(info.implied)});
  }
}

LayerStack::Location LayerStack::root() const {
  Location location;
  for (const Member& member : members_) location.members.push_back(&member);
  return location;
}

std::optional<LayerStack::Location> LayerStack::step(const Location& directory, const std::string& name) const {
  Location location{path_below(directory.path, name), {}};
  for (const Member* member : directory.members) {
    const std::optional<Fd> file = find_in_tree(member->tree.get(), location.path);
    if (!file) continue;
    const struct stat info = stat_of(file->get(), location.path);
    if (is_whiteout(info)) break;
    if (!S_ISDIR(info.st_mode)) {
      if (location.members.empty()) location.members.push_back(member);
      break;
    }
    location.members.push_back(member);
    if (is_opaque(file->get())) break;
  }
  if (location.members.empty()) return std::nullopt;
  return location;
}

std::optional<LayerStack::Location> LayerStack::locate(std::string_view path, bool follow_last) const {
  std::deque<std::string> rest = components_of(path);
  std::vector<Location> stack{root()};
  int links = 0;
  while (!rest.empty()) {
    const std::string name = std::move(rest.front());
    rest.pop_front();
    if (name == "..") {
      if (stack.size() > 1) stack.pop_back();
      continue;
    }
    std::optional<Location> next = step(stack.back(), name);
    if (!next) return std::nullopt;
    const Member& top = *next->members.front();
    const std::optional<Fd> file = find_in_tree(top.tree.get(), next->path);
    const bool is_link = file && S_ISLNK(stat_of(file->get(), next->path).st_mode);
    if (is_link && (!rest.empty() || follow_last)) {
      if (++links > kLinkLimit) return std::nullopt;
      const std::string target = link_of(file->get(), next->path);
      if (target.starts_with('/')) stack.erase(stack.begin() + 1, stack.end());
      std::deque<std::string> further = components_of(target);
      rest.insert(rest.begin(), std::make_move_iterator(further.begin()), std::make_move_iterator(further.end()));
      continue;
    }
    stack.push_back(std::move(*next));
  }
  return std::move(stack.back());
}

Entry LayerStack::describe(const Member& member, const std::string& path) const {
  const std::optional<Fd> file = find_in_tree(member.tree.get(), path);
  if (!file) throw Error(ErrorKind::NotFound, "layer lost " + path);
  const struct stat info = stat_of(file->get(), path);
  Entry entry{path, type_of(info.st_mode)};
  entry.mode = info.st_mode & 07777;
  const FileOwner owner = owner_of(fd_path(member.tree.get()) + "/" + path, info);
  entry.uid = owner.uid;
  entry.gid = owner.gid;
  entry.mtime = {info.st_mtim.tv_sec, static_cast<std::uint32_t>(info.st_mtim.tv_nsec)};
  if (entry.type == EntryType::File) entry.size = static_cast<std::uint64_t>(info.st_size);
  if (entry.type == EntryType::Symlink) entry.link = link_of(file->get(), path);
  if (entry.type == EntryType::CharacterDevice || entry.type == EntryType::BlockDevice) {
    entry.device_major = major(info.st_rdev);
    entry.device_minor = minor(info.st_rdev);
  }
  if (entry.type == EntryType::File || entry.type == EntryType::Directory)
    entry.xattrs = canonical_xattrs_of(file->get());
  return entry;
}

Entry LayerStack::meant(const Location& location) const {
  for (const Member* member : location.members) {
    if (!std::binary_search(member->implied.begin(), member->implied.end(), location.path))
      return describe(*member, location.path);
  }
  return implied_directory(location.path);
}

std::optional<Entry> LayerStack::find(std::string_view path) const {
  const std::optional<Location> location = locate(path, false);
  return location ? std::optional(meant(*location)) : std::nullopt;
}

std::optional<Entry> LayerStack::find_following(std::string_view path) const {
  const std::optional<Location> location = locate(path, true);
  return location ? std::optional(meant(*location)) : std::nullopt;
}

std::optional<std::string> LayerStack::read_file(std::string_view path, std::uint64_t limit) const {
  const std::optional<Location> location = locate(path, true);
  if (!location || location->path.empty()) return std::nullopt;
  const int tree = location->members.front()->tree.get();
  const std::optional<Fd> found = find_in_tree(tree, location->path);
  if (!found || !S_ISREG(stat_of(found->get(), location->path).st_mode)) return std::nullopt;
  return read_fd(open_beneath(tree, location->path, O_RDONLY | O_NOFOLLOW).get(), limit, location->path);
}

std::vector<std::string> LayerStack::list(std::string_view path) const {
  const std::optional<Location> location = locate(path, true);
  if (!location) return {};
  std::set<std::string> names;
  for (const Member* member : location->members) {
    const Fd directory = location->path.empty()
                             ? open_at(member->tree.get(), ".", O_RDONLY | O_DIRECTORY)
                             : open_beneath(member->tree.get(), location->path, O_RDONLY | O_NOFOLLOW);
    if (!S_ISDIR(stat_of(directory.get(), location->path).st_mode)) return {};
    for (std::string& name : list_directory_fd(directory.get())) names.insert(std::move(name));
  }
  std::vector<std::string> result;
  for (const std::string& name : names) {
    if (step(*location, name)) result.push_back(name);
  }
  return result;
}

std::vector<LayerStack::ImpliedDirectory> LayerStack::implied_directories() const {
  std::set<std::string> paths;
  for (const Member& member : members_) paths.insert(member.implied.begin(), member.implied.end());
  std::vector<ImpliedDirectory> result;
  for (const std::string& path : paths) {
    std::optional<Location> location = root();
    for (const std::string& name : components_of(path)) {
      if (location) location = step(*location, name);
    }
    if (!location || location->members.empty()) continue;
    Entry seen = describe(*location->members.front(), path);
    if (seen.type != EntryType::Directory) continue;
    result.push_back({std::move(seen), meant(*location)});
  }
  return result;
}

}  // namespace ctr
