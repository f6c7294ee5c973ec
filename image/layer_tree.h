// What a layer's entries amount to: a tree in memory, built entry by entry as a tar is unpacked. It decides where an
// entry lands (symbolic links among the parents are followed inside the layer, as an unpacker in a chroot would see
// them), which parents are missing, and what is replaced; a LayerWriter then does just that to its form. So all forms
// agree, and no path of a foreign tar is ever resolved by the kernel. Memory grows with the number of entries, not with
// their content.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "image/entry.h"

namespace ctr {

class LayerTree {
 public:
  struct Node {
    /// Attributes, without path; shared by hard links. Nothing for a whiteout.
    std::shared_ptr<Entry> inode;
    bool is_implied = false;
    bool is_opaque = false;
    std::map<std::string, std::unique_ptr<Node>, std::less<>> children;

    bool is_directory() const { return inode && inode->type == EntryType::Directory; }
  };

  enum class Existing { Nothing, Directory, Other };

  /// What a writer has to do for an entry.
  struct Placement {
    /// Where it lands.
    std::string path;
    /// Parents to make first, outermost first.
    std::vector<std::string> missing_parents;
    /// What is at `path` and must go first. A directory that a directory replaces stays, with its content.
    Existing replaced = Existing::Nothing;
    /// Where a hard link's target landed.
    std::string link_target;
    /// The attributes as the tree keeps them; nothing for marks.
    std::shared_ptr<Entry> inode;
    /// Nothing to do now: a mark that only changes the tree, a whiteout of what this layer has, a link to itself.
    bool is_noop = false;
  };

  LayerTree();

  /// Adds an entry. Throws Invalid when a parent is no directory, a hard link leads nowhere, or there are too many.
  Placement place(const Entry& entry);

  const Node& root() const noexcept { return root_; }
  /// Visits every node in canonical order; `path` of the root is "".
  void visit(const std::function<void(const std::string& path, const Node& node)>& visitor) const;
  /// Children before their directory.
  void visit_children_first(const std::function<void(const std::string& path, const Node& node)>& visitor) const;

 private:
  struct Place {
    Node* parent;
    std::string path;
    std::string name;
  };
  enum class Missing { Make, Refuse };

  Place find_place(std::string_view path, Missing missing, Placement& placement);
  Node* descend(Node& parent, std::string_view name, const std::string& path, Missing missing, Placement& placement);
  void put_mark(const Entry& entry, Node* parent, const std::string& name, Placement& placement);
  void put_hard_link(const Entry& entry, Node& parent, const std::string& name, Placement& placement);
  void put_entry(const Entry& entry, Node& parent, const std::string& name, Placement& placement);
  void count_node();

  Node root_;
  std::size_t nodes_ = 0;
};

/// The attributes of a parent directory that nobody gave.
Entry implied_directory(std::string path);

}  // namespace ctr
