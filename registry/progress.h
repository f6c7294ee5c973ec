// What pull and push report while they run: one state and byte count a layer. The command line turns it into
// Docker's words; this folder prints nothing.
#pragma once

#include <cstdint>
#include <string>

namespace ctr {

enum class LayerState {
  // pull
  PullingFsLayer,  ///< known, not started
  Waiting,         ///< for a free slot, or for another process that downloads the same blob
  Downloading,     ///< bytes: current of total
  VerifyingChecksum,
  DownloadComplete,
  Extracting,  ///< bytes of the layer's tar so far; total is the compressed size
  PullComplete,
  AlreadyExists,
  // push
  Preparing,
  Pushing,  ///< bytes: current of total
  Pushed,
  LayerAlreadyExists,
  MountedFrom,  ///< detail: the repository
  Retrying,     ///< detail: why; current: seconds to wait
};

struct LayerProgress {
  std::string id;  ///< the first 12 digits of the blob's digest (pull) or of the layer's diff id (push)
  LayerState state = LayerState::Waiting;
  std::uint64_t current = 0;
  std::uint64_t total = 0;
  std::string detail;
};

/// Virtual because terminals, plain logs, builds and tests render differently. Calls come from several threads
/// at once; an implementation locks.
class TransferProgress {
 public:
  virtual ~TransferProgress() = default;
  virtual void layer(const LayerProgress& progress) = 0;
  /// A sentence between the layers, such as "The push refers to repository [localhost:5000/app]".
  virtual void message(const std::string& sentence) = 0;
};

}  // namespace ctr
