// A tree of files that a build step reads: the build context in place on this machine, a finished stage, an image, a
// download. Paths are relative to its root, and links are followed inside it, whatever they say. Knows which files the
// ignore patterns hide, and nothing about what is done with the rest.
#pragma once

#include <sys/stat.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/file.h"
#include "builder/ignore_patterns.h"

namespace ctr {

/// Whose the files are once they are copied.
enum class Owners { Root, Kept };

class SourceTree {
 public:
  /// Takes the directory's descriptor. `name` is what errors call the tree; `ignore` hides paths (may be null).
  SourceTree(Fd root, std::string name, Owners owners, std::shared_ptr<const IgnorePatterns> ignore = nullptr);

  int root() const noexcept { return root_.get(); }
  const std::string& name() const noexcept { return name_; }
  Owners owners() const noexcept { return owners_; }
  const IgnorePatterns* ignore() const noexcept { return ignore_.get(); }

 private:
  Fd root_;
  std::string name_;
  Owners owners_;
  std::shared_ptr<const IgnorePatterns> ignore_;
};

/// Where a path leads inside a tree. Components behind the first one that does not exist are taken as they are.
struct TreePath {
  std::string path;                  ///< "" is the root; no leading slash
  std::optional<struct ::stat> info; ///< nothing if it does not exist
  std::size_t existing_length = 0;   ///< how much of `path` exists
};

enum class LastLink { Follow, Keep };

/// Resolves links (40 at most, else Invalid) as if `root` were "/". ".." stops at the root. Throws for what is neither
/// absent nor a directory on the way ("not a directory").
TreePath resolve_in_tree(int root, std::string_view path, LastLink last_link);

/// lstat below a root; nothing for ENOENT and ENOTDIR. "" is the root.
std::optional<struct ::stat> find_stat(int root, const std::string& path);

std::string read_link_text(int root, const std::string& path);

/// "a" + "b" = "a/b"; either may be empty.
std::string join_path(std::string_view directory, std::string_view name);

/// One file that a walk found.
struct TreeFile {
  std::string path;  ///< relative to the tree's root
  struct ::stat info = {};
};

/// Everything below and including `path` that is not hidden, in canonical order (a directory before what is in it).
/// A hidden directory appears if something below it is re-included. Sockets are left out. `path` itself must exist; it
/// comes first even if it is hidden, unless nothing of it is visible (then nothing comes).
/// Throws Invalid for trees of more than kMaxTreeFiles.
inline constexpr std::size_t kMaxTreeFiles = 20'000'000;
std::vector<TreeFile> walk_tree(const SourceTree& tree, const std::string& path);

/// True if the ignore patterns hide this path.
bool is_hidden(const SourceTree& tree, const std::string& path);

}  // namespace ctr
