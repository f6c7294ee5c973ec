// Directories as entries, in canonical order: a plain tree, or the upper directory of an overlay, whose whiteout
// devices and opaque attributes become types. Hard links within the tree are found.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/fd.h"
#include "image/entry.h"
#include "image/layer_store.h"

namespace ctr {

enum class TreeKind {
  Plain,
  OverlayUpper,
  /// An upper that becomes a layer: overlay's attributes other than opaque marks are removed on the way.
  AdoptedUpper,
};

/// Walks a tree that nobody changes meanwhile, never following links and never leaving its file system's root. Sockets
/// are left out.
class DirectorySource final : public EntrySource {
 public:
  /// Borrows nothing: keeps its own descriptor of `directory`.
  DirectorySource(int directory, TreeKind kind, OverlayXattrs xattrs);
  ~DirectorySource() override;

  std::optional<Entry> next() override;
  std::size_t read(std::span<std::byte> buffer) override;
  std::uint64_t skip_hole() override;

 private:
  friend Entry describe_root(int directory);
  struct State;
  std::unique_ptr<State> state_;
};

/// A directory itself as an entry: the root, whose path is "".
Entry describe_root(int directory);

}  // namespace ctr
