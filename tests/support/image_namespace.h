// Lets go of a store's mount namespace at the end of a test, so that its directory can be removed.
#pragma once

#include "base/error.h"
#include "base/file.h"
#include "base/mount_namespace.h"

namespace ctr {

class NamespaceEnd {
 public:
  /// `run` is the store's run directory.
  explicit NamespaceEnd(fs::path run) : run_(std::move(run)) {}
  ~NamespaceEnd() {
    try {
      if (path_exists(run_ / "store.ns")) remove_mount_namespace(run_ / "store.ns");
    } catch (const Error&) {
      // An ordinary user's store has no such namespace.
    }
  }
  NamespaceEnd(const NamespaceEnd&) = delete;
  NamespaceEnd& operator=(const NamespaceEnd&) = delete;

 private:
  fs::path run_;
};

}  // namespace ctr
