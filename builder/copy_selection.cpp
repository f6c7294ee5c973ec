#include "builder/copy_selection.h"

#include <fcntl.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "builder/go_match.h"

namespace ctr {

namespace {

std::vector<std::string> components_of(const std::string& path) {
  std::vector<std::string> result;
  for (std::string& each : split(path, '/'))
    if (!each.empty() && each != ".") result.push_back(std::move(each));
  return result;
}

std::string last_component(const std::string& path) { return path.substr(path.rfind('/') + 1); }

/// A file below `directory` as a path relative to it.
std::string relative_to(const std::string& path, const std::string& directory) {
  if (directory.empty()) return path;
  return path.size() <= directory.size() ? std::string() : path.substr(directory.size() + 1);
}

[[noreturn]] void throw_not_found(const SourceTree& tree, const std::string& path) {
  std::string message = "failed to compute cache key: \"" + path + "\": not found";
  std::string relative = clean_path(path);
  while (relative.starts_with('/')) relative.erase(0, 1);
  if (is_hidden(tree, relative) && find_stat(tree.root(), relative)) message += " (it is excluded by .dockerignore)";
  throw Error(ErrorKind::NotFound, message);
}

/// Names below a directory that match one component of a pattern, sorted.
std::vector<std::string> matching_names(const SourceTree& tree, const std::string& directory,
                                        const std::string& pattern) {
  const Fd fd = open_at(tree.root(), directory.empty() ? "." : directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  std::vector<std::string> result;
  for (std::string& name : list_directory_fd(fd.get()))
    if (go_match(pattern, name)) result.push_back(std::move(name));
  return result;
}

/// The paths that a pattern names, in order. The part before the first wildcard follows links, the rest does not.
std::vector<std::string> expand_pattern(const SourceTree& tree, const std::string& pattern) {
  std::vector<std::string> components = components_of(pattern);
  const auto first_glob = std::find_if(components.begin(), components.end(),
                                       [](const std::string& each) { return has_glob_characters(each); });
  std::string plain;
  for (auto each = components.begin(); each != first_glob; ++each) plain = join_path(plain, *each);
  if (first_glob == components.end()) return {plain};
  const TreePath start = resolve_in_tree(tree.root(), plain, LastLink::Follow);
  if (!start.info) return {};
  std::vector<std::string> found{start.path};
  for (auto each = first_glob; each != components.end(); ++each) {
    std::vector<std::string> next;
    for (const std::string& directory : found) {
      const auto info = find_stat(tree.root(), directory);
      if (!info || !S_ISDIR(info->st_mode)) continue;
      for (const std::string& name : matching_names(tree, directory, *each)) next.push_back(join_path(directory, name));
    }
    found = std::move(next);
  }
  std::erase_if(found, [&](const std::string& path) { return is_hidden(tree, path) && walk_tree(tree, path).empty(); });
  return found;
}

class Selector {
 public:
  Selector(const CopyOp& op, const std::vector<const SourceTree*>& trees)
      : op_(op), trees_(trees), exclude_(op.exclude) {}

  std::vector<Selection> run() {
    std::vector<Selection> result;
    for (const CopySource& source : op_.sources) {
      if (source.content) {
        Selection selection;
        selection.content = source.content;
        selection.base_name = last_component(source.path);
        result.push_back(std::move(selection));
        continue;
      }
      const SourceTree* tree = trees_.at(source.input);
      if (tree == nullptr) throw Error(ErrorKind::Invalid, "a copy step has no source tree");
      if (op_.parents) {
        result.push_back(select_with_parents(*tree, source.path));
      } else {
        for (const std::string& path : expand_pattern(*tree, source.path)) {
          auto selection = select_path(*tree, path, source);
          if (selection) result.push_back(std::move(*selection));
        }
      }
    }
    return result;
  }

 private:
  std::optional<Selection> select_path(const SourceTree& tree, const std::string& path, const CopySource& source) {
    const TreePath found = resolve_in_tree(tree.root(), path, LastLink::Follow);
    if (!found.info) throw_not_found(tree, "/" + path);
    Selection selection;
    selection.tree = &tree;
    selection.base_name = last_component(path);
    selection.is_directory = S_ISDIR(found.info->st_mode);
    selection.unpack = source.unpack && S_ISREG(found.info->st_mode);
    std::vector<TreeFile> files = walk_tree(tree, found.path);
    if (files.empty()) {
      if (!found.path.empty()) throw_not_found(tree, "/" + path);
    }
    if (!selection.is_directory && !exclude_.empty() && exclude_.is_ignored(selection.base_name)) return std::nullopt;
    add_files(selection, std::move(files), found.path);
    return selection;
  }

  void add_files(Selection& selection, std::vector<TreeFile> files, const std::string& root) {
    selection.files.reserve(files.size());
    for (TreeFile& file : files) {
      std::string target = relative_to(file.path, root);
      if (!target.empty() && selection.is_directory && is_excluded(target, file)) continue;
      selection.files.push_back({std::move(file), std::move(target)});
    }
    if (!exclude_.empty() && exclude_.has_exceptions()) drop_empty_excluded(selection);
  }

  bool is_excluded(const std::string& target, const TreeFile& file) const {
    if (exclude_.empty() || !exclude_.is_ignored(target)) return false;
    return !(S_ISDIR(file.info.st_mode) && exclude_.has_exceptions() && exclude_.may_include_below(target));
  }

  /// Directories that were kept for what they might hold, and hold nothing.
  void drop_empty_excluded(Selection& selection) const {
    std::string next;  // the target that follows in order
    std::vector<SelectedFile> kept;
    for (auto each = selection.files.rbegin(); each != selection.files.rend(); ++each) {
      const bool is_parent_of_next = next.starts_with(each->target + "/");
      const bool is_dropped =
          !each->target.empty() && exclude_.is_ignored(each->target) && S_ISDIR(each->file.info.st_mode) && !is_parent_of_next;
      if (is_dropped) continue;
      next = each->target;
      kept.push_back(std::move(*each));
    }
    selection.files.assign(std::make_move_iterator(kept.rbegin()), std::make_move_iterator(kept.rend()));
  }

  /// --parents: everything below the pivot that the pattern matches, with the directories on the way.
  Selection select_with_parents(const SourceTree& tree, const std::string& text) {
    const std::size_t pivot = text.find("/./");
    const std::string base = pivot == std::string::npos ? "" : text.substr(0, pivot);
    std::string pattern = clean_path("/" + (pivot == std::string::npos ? text : text.substr(pivot + 3)));
    pattern.erase(0, 1);
    const TreePath start = resolve_in_tree(tree.root(), base, LastLink::Follow);
    if (!start.info) throw_not_found(tree, "/" + base);
    const bool is_plain = !has_glob_characters(pattern) && !has_glob_characters(base);
    if (is_plain && !find_stat(tree.root(), join_path(start.path, pattern)))
      throw_not_found(tree, clean_path("/" + base + "/" + pattern));
    Selection selection;
    selection.tree = &tree;
    selection.base_name = last_component(base);
    selection.is_directory = true;
    select_matches(selection, start.path, pattern);
    return selection;
  }

  void select_matches(Selection& selection, const std::string& start, const std::string& pattern) {
    const IgnorePatterns wanted(pattern.empty() ? std::vector<std::string>{"**"} : std::vector<std::string>{pattern});
    std::vector<SelectedFile> open_directories;  // on the way to the current file and not taken yet
    for (TreeFile& file : walk_tree(*selection.tree, start)) {
      std::string target = relative_to(file.path, start);
      while (!open_directories.empty() && !open_directories.back().target.empty() &&
             !target.starts_with(open_directories.back().target + "/"))
        open_directories.pop_back();
      const bool is_match = target.empty() ? false : wanted.is_ignored(target) && !is_excluded(target, file);
      if (is_match) {
        for (SelectedFile& directory : open_directories) selection.files.push_back(std::move(directory));
        open_directories.clear();
        selection.files.push_back({std::move(file), std::move(target)});
      } else if (S_ISDIR(file.info.st_mode)) {
        open_directories.push_back({std::move(file), std::move(target)});
      }
    }
    if (selection.files.empty() || !selection.files.front().target.empty()) {
      const auto info = find_stat(selection.tree->root(), start);
      if (info) selection.files.insert(selection.files.begin(), {TreeFile{start, *info}, ""});
    }
  }

  const CopyOp& op_;
  const std::vector<const SourceTree*>& trees_;
  IgnorePatterns exclude_;
};

}  // namespace

std::vector<Selection> select_files(const CopyOp& op, const std::vector<const SourceTree*>& trees) {
  return Selector(op, trees).run();
}

}  // namespace ctr
