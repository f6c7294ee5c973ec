// The files that a COPY or WORKDIR puts into its layer, by path, before they are written: knows the base, so that
// parents keep what they are and conflicts are found, and puts everything in canonical order.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "base/time.h"
#include "builder/source_tree.h"
#include "image/entry.h"
#include "image/layer_store.h"

namespace ctr {

class SourceHashes;

struct LayerOwner {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
};

/// Where an entry's content comes from.
struct LayerContent {
  const SourceTree* tree = nullptr;
  std::string path;             ///< in the tree
  const std::string* text = nullptr;
};

class LayerPlan {
 public:
  /// `base` is -1 if the layer must not depend on what is below. Directories that are made belong to `owner`.
  LayerPlan(int base, LayerOwner owner, Time step_time) : base_(base), owner_(owner), step_time_(step_time) {}

  /// Resolves a path of the new file system: links of the base are followed inside it.
  std::string resolve(const std::string& path) const;

  enum class Kind { Absent, Directory, Other };
  /// What there is at a resolved path, this layer's entries first.
  Kind kind_of(const std::string& path) const;

  /// The directory and its parents: those of the base keep their attributes, missing ones are made (mode 0755). Throws
  /// Invalid if something else is there.
  void make_directories(const std::string& path);

  /// Puts an entry at its path; its parent must be planned or exist in the base (which then is planned too).
  void add(Entry entry, LayerContent content);

  /// Writes everything; `hashes`, if given, sees the bytes of every source file.
  LayerInfo write(const LayerStore& store, SourceHashes* hashes = nullptr) const;
  void write(LayerWriter& writer) const;

 private:
  struct ByPath {
    bool operator()(const std::string& left, const std::string& right) const {
      return compare_paths(left, right) < 0;
    }
  };
  struct Item {
    Entry entry;
    LayerContent content;
  };

  bool is_new_directory(const std::string& path) const;
  Entry new_directory(const std::string& path) const;

  int base_;
  LayerOwner owner_;
  Time step_time_;
  std::map<std::string, Item, ByPath> items_;
  std::set<std::string> new_directories_;  // not in the base: nothing below them is either
};

/// An Entry of a file as it lies in a tree: type, mode, ids, time, link text; no path and no xattrs.
Entry entry_of(const SourceTree& tree, const TreeFile& file);

FileTime file_time(Time time);

}  // namespace ctr
