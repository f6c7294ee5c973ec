// A stack of layers seen as one tree without mounting it: which layers show a path, and what a container would see
// there. Answers what a builder or a plan asks about a root filesystem (who owns /home/node, what is in /etc/passwd).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "image/digest.h"
#include "image/entry.h"
#include "image/layer_store.h"

namespace ctr {

class LayerStack {
 public:
  /// Lowest layer first, as in a config. Throws NotFound for a layer that the store lacks.
  LayerStack(const LayerStore& layers, std::span<const Digest> diff_ids);

  /// What is at `path` (as in Entry; "" is the root). Links among the parents are followed inside the root; one at the
  /// end is the answer itself. A directory has the attributes that a container sees: those of the topmost layer that
  /// really says them.
  std::optional<Entry> find(std::string_view path) const;
  /// The same with a link at the end followed too; its `path` says where it is.
  std::optional<Entry> find_following(std::string_view path) const;
  /// A regular file's content; nothing if there is none. Throws Invalid above `limit`.
  std::optional<std::string> read_file(std::string_view path, std::uint64_t limit) const;
  /// The names in a directory, sorted; empty if there is none.
  std::vector<std::string> list(std::string_view path) const;

  /// A directory that some layers have as an implied parent only.
  struct ImpliedDirectory {
    Entry seen;   ///< what overlay shows: the topmost layer's
    Entry meant;  ///< what it ought to show
  };
  /// For each path that some layer implies and that the whole stack has: what overlay shows there and what is meant.
  std::vector<ImpliedDirectory> implied_directories() const;

 private:
  struct Member {
    Fd tree;
    std::vector<std::string> implied;  // sorted
  };
  // Where a path is: the layers that contribute to it, topmost first; one for anything but a directory.
  struct Location {
    std::string path;
    std::vector<const Member*> members;
  };

  std::optional<Location> locate(std::string_view path, bool follow_last) const;
  std::optional<Location> step(const Location& directory, const std::string& name) const;
  Location root() const;
  Entry describe(const Member& member, const std::string& path) const;
  Entry meant(const Location& location) const;

  std::vector<Member> members_;  // topmost first
};

}  // namespace ctr
