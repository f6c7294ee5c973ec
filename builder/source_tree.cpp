#include "builder/source_tree.h"

#include <dirent.h>
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <deque>

#include "base/error.h"

namespace ctr {

namespace {

constexpr int kMaxLinks = 40;

struct CloseDir {
  void operator()(DIR* directory) const noexcept { ::closedir(directory); }
};
using DirStream = std::unique_ptr<DIR, CloseDir>;

void push_components(std::deque<std::string>& open, std::string_view path) {
  std::vector<std::string> components;
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    const std::string_view component = path.substr(0, slash);
    if (!component.empty() && component != ".") components.emplace_back(component);
    path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
  }
  open.insert(open.begin(), components.begin(), components.end());
}

void drop_last_component(std::string& path) {
  const std::size_t slash = path.rfind('/');
  path.resize(slash == std::string::npos ? 0 : slash);
}

}  // namespace

SourceTree::SourceTree(Fd root, std::string name, Owners owners, std::shared_ptr<const IgnorePatterns> ignore)
    : root_(std::move(root)), name_(std::move(name)), owners_(owners), ignore_(std::move(ignore)) {
  if (ignore_ && ignore_->empty()) ignore_.reset();
}

std::optional<struct ::stat> find_stat(int root, const std::string& path) {
  struct ::stat info = {};
  const int result = path.empty() ? ::fstat(root, &info) : ::fstatat(root, path.c_str(), &info, AT_SYMLINK_NOFOLLOW);
  if (result == 0) return info;
  if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
  throw_errno(errno, "stat", path);
}

std::string read_link_text(int root, const std::string& path) {
  std::string text(PATH_MAX, '\0');
  const auto size = check(::readlinkat(root, path.c_str(), text.data(), text.size()), "read link", path);
  text.resize(static_cast<std::size_t>(size));
  return text;
}

std::string join_path(std::string_view directory, std::string_view name) {
  std::string result(directory);
  if (!result.empty() && !name.empty()) result += '/';
  result += name;
  return result;
}

TreePath resolve_in_tree(int root, std::string_view path, LastLink last_link) {
  std::deque<std::string> open;
  push_components(open, path);
  TreePath result;
  result.info = find_stat(root, "");
  int links = 0;
  while (!open.empty()) {
    const std::string component = std::move(open.front());
    open.pop_front();
    if (component == "..") {
      drop_last_component(result.path);
      result.existing_length = std::min(result.existing_length, result.path.size());
      // What ".." leads to exists if it is within what was found.
      result.info = result.path.size() <= result.existing_length ? find_stat(root, result.path) : std::nullopt;
      continue;
    }
    if (result.info && !S_ISDIR(result.info->st_mode))
      throw Error(ErrorKind::Invalid, "/" + result.path + ": not a directory", ENOTDIR);
    std::string next = join_path(result.path, component);
    const auto info = result.info ? find_stat(root, next) : std::nullopt;
    const bool follows = !open.empty() || last_link == LastLink::Follow;
    if (info && S_ISLNK(info->st_mode) && follows) {
      if (++links > kMaxLinks)
        throw Error(ErrorKind::Invalid, "/" + std::string(path) + ": too many symbolic links", ELOOP);
      const std::string text = read_link_text(root, next);
      if (text.starts_with('/')) {
        result.path.clear();
        result.existing_length = 0;
        result.info = find_stat(root, "");
      }
      push_components(open, text);
      continue;
    }
    result.path = std::move(next);
    result.info = info;
    if (info) result.existing_length = result.path.size();
  }
  return result;
}

bool is_hidden(const SourceTree& tree, const std::string& path) {
  return tree.ignore() != nullptr && !path.empty() && tree.ignore()->is_ignored(path);
}

namespace {

/// Walks depth first with names sorted; one open directory a level.
class TreeWalk {
 public:
  explicit TreeWalk(const SourceTree& tree) : tree_(tree) {}

  std::vector<TreeFile> run(const std::string& path) {
    const auto info = find_stat(tree_.root(), path);
    if (!info) throw Error(ErrorKind::NotFound, "\"/" + path + "\": not found");
    const IgnorePatterns* ignore = tree_.ignore();
    const bool is_root_hidden = is_hidden(tree_, path);
    if (!S_ISDIR(info->st_mode)) {
      if (!is_root_hidden && !stays_behind(*info)) files_.push_back({path, *info});
      return std::move(files_);
    }
    const bool has_parent = ignore != nullptr && !path.empty();
    IgnorePatterns::Decision decision;
    if (has_parent) decision = decide_along(path);
    files_.push_back({path, *info});
    walk_directory(tree_.root(), path.empty() ? "." : path, path, has_parent ? &decision : nullptr);
    if (is_root_hidden && files_.size() == 1) files_.clear();
    return std::move(files_);
  }

 private:
  /// A context sends no pipes, as BuildKit's does not; sockets mean nothing in any layer.
  bool stays_behind(const struct ::stat& info) const {
    return S_ISSOCK(info.st_mode) || (S_ISFIFO(info.st_mode) && tree_.owners() == Owners::Root);
  }

  IgnorePatterns::Decision decide_along(const std::string& path) const {
    IgnorePatterns::Decision decision;
    const IgnorePatterns::Decision* parent = nullptr;
    for (std::size_t end = 0; !path.empty() && end != std::string::npos;) {
      end = path.find('/', end + 1);
      IgnorePatterns::Decision next = tree_.ignore()->decide(path.substr(0, end), parent);
      decision = std::move(next);
      parent = &decision;
    }
    return decision;
  }

  void walk_directory(int parent_fd, const std::string& name, const std::string& path,
                      const IgnorePatterns::Decision* decision) {
    // The first step may have several components; none of them is a link any more.
    Fd directory(check(::openat(parent_fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), "open",
                       path.empty() ? tree_.name() : path));
    std::vector<std::string> names = read_names(directory.get(), path);
    for (const std::string& each : names) visit(directory.get(), each, join_path(path, each), decision);
  }

  static std::vector<std::string> read_names(int fd, const std::string& path) {
    DirStream stream(::fdopendir(duplicate(fd).release()));
    if (!stream) throw_errno(errno, "open", path);
    std::vector<std::string> names;
    for (errno = 0; const dirent* entry = ::readdir(stream.get()); errno = 0) {
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
    }
    if (errno != 0) throw_errno(errno, "read directory", path);
    std::sort(names.begin(), names.end());
    return names;
  }

  void visit(int directory, const std::string& name, const std::string& path,
             const IgnorePatterns::Decision* parent) {
    struct ::stat info = {};
    if (::fstatat(directory, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) return;  // gone since the directory was read
      throw_errno(errno, "stat", path);
    }
    if (stays_behind(info)) return;
    IgnorePatterns::Decision decision;
    const bool has_ignore = tree_.ignore() != nullptr;
    if (has_ignore) decision = tree_.ignore()->decide(path, parent);
    const bool is_directory = S_ISDIR(info.st_mode);
    if (decision.ignored && !(is_directory && tree_.ignore()->may_include_below(path))) return;
    if (files_.size() >= kMaxTreeFiles)
      throw Error(ErrorKind::Invalid, tree_.name() + " has more than " + std::to_string(kMaxTreeFiles) + " files");
    files_.push_back({path, info});
    if (!is_directory) return;
    const std::size_t own_index = files_.size();
    walk_directory(directory, name, path, has_ignore ? &decision : nullptr);
    if (decision.ignored && files_.size() == own_index) files_.pop_back();
  }

  const SourceTree& tree_;
  std::vector<TreeFile> files_;
};

}  // namespace

std::vector<TreeFile> walk_tree(const SourceTree& tree, const std::string& path) { return TreeWalk(tree).run(path); }

}  // namespace ctr
