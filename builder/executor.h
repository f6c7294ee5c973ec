// What the solver needs done: open a tree, check what a step selects, make a layer. The seam for tests: the solver's
// order, keys and sharing are tested with a fake; BuildExecutor is the real one.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/time.h"
#include "builder/build_progress.h"
#include "builder/graph.h"
#include "builder/selection_checksum.h"
#include "builder/source_tree.h"

namespace ctr {

/// What a vertex yields: a stack of layers, or a tree of files on this machine.
struct Built {
  std::vector<Digest> layers;               ///< lowest first
  std::vector<Time> times;                  ///< when the last of them were made; an image's own layers have none
  std::shared_ptr<const SourceTree> tree;   ///< of a local tree
};

/// A layer that a step made.
struct MadeLayer {
  Digest diff_id;
  std::uint64_t size = 0;
  Time created = {};
};

struct CopiedLayer {
  MadeLayer layer;
  SelectionChecksum checksum;
};

/// Which selection of a vertex' inputs counts for its key.
struct SelectedInput {
  std::size_t input = 0;
  CopyOp selection;  ///< only the sources of that input
};

class Executor {
 public:
  virtual ~Executor() = default;

  /// Opens what a ContextOp, HttpOp or GitOp stands for; may fetch it. Called once a vertex.
  virtual std::shared_ptr<const SourceTree> open_tree(const Op& op, StepNumber step) = 0;

  /// True if the layer is in the store. From then on it stays there until the build ends.
  virtual bool has_layer(const Digest& diff_id) = 0;

  /// Brings a layer of an image, or one that a remote cache has, into the store; false if it can't be had.
  virtual bool fetch_layer(const Digest& diff_id, StepNumber step) = 0;

  /// The checksum of what CopyOp selects. The layers of `inputs` are in the store.
  virtual SelectionChecksum checksum(const CopyOp& op, std::span<const Built> inputs) = 0;

  /// Copies and takes the checksum of what is copied in one pass over the files; calls `bring` first, for the layers of
  /// `inputs`. Nothing if one pass is not worth it: then the checksum comes first.
  virtual std::optional<CopiedLayer> copy_and_check(VertexId vertex, std::span<const Built> inputs,
                                                    const std::function<void()>& bring) {
    static_cast<void>(vertex), static_cast<void>(inputs), static_cast<void>(bring);
    return std::nullopt;
  }

  /// Does the step. The layers of `inputs` are in the store.
  virtual MadeLayer execute(VertexId vertex, std::span<const Built> inputs, StepNumber step) = 0;

  /// Another step failed: ends what runs, soon.
  virtual void cancel() = 0;
};

}  // namespace ctr
