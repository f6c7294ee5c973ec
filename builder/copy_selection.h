// What the sources of a COPY or ADD select: patterns matched, links followed, hidden and excluded files left out, each
// file with the name that it gets below the destination. The cache key and the layer are made from the same selection,
// so they can't disagree. Knows nothing about the destination.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "builder/op.h"
#include "builder/source_tree.h"

namespace ctr {

struct SelectedFile {
  TreeFile file;
  std::string target;  ///< below the place where the selection goes; "" is that place itself
};

/// One match of one source.
struct Selection {
  const SourceTree* tree = nullptr;      ///< null: `content` is the file
  std::optional<std::string> content;
  std::string base_name;                 ///< as it was named, links not followed
  bool is_directory = false;             ///< its contents are copied into the destination
  bool unpack = false;
  std::vector<SelectedFile> files;       ///< in canonical order of `target`
};

/// `trees` are the vertex' inputs by index (null where an input is no source). A pattern that matches nothing selects
/// nothing; a plain path that does not exist throws NotFound in BuildKit's words.
std::vector<Selection> select_files(const CopyOp& op, const std::vector<const SourceTree*>& trees);

}  // namespace ctr
