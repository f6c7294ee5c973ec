// A file system of layers, open for reading: a directory descriptor from which paths are resolved. Nothing is mounted in
// any namespace that others see.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "base/fd.h"
#include "image/store.h"

namespace ctr {

/// Views are kept for the life of this object, so that steps on one base share one. Safe for use by several threads.
class RootfsViews {
 public:
  explicit RootfsViews(const Store& store) : store_(store) {}

  /// REQUIRES: every layer is in the store. The descriptor stays this object's.
  int open(const std::vector<Digest>& layers);

 private:
  const Store& store_;
  std::mutex mutex_;
  std::map<std::vector<Digest>, Fd> views_;
};

/// One view for its caller: a directory (O_PATH would not do: it is read).
Fd open_rootfs_view(const Store& store, const std::vector<Digest>& layers);

}  // namespace ctr
