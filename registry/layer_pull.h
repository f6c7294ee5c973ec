// One layer's way from a registry into the store: resumes, retries as long as bytes move, waits for another process
// that brings the same blob, and never keeps bytes whose digest is wrong.
#pragma once

#include "image/descriptor.h"
#include "image/digest.h"
#include "image/store.h"
#include "registry/progress.h"
#include "registry/registry_client.h"
#include "registry/retry.h"

namespace ctr {

struct LayerPull {
  Store& store;
  RegistryClient& client;
  const RetryPolicy& retry;
  TransferProgress& progress;

  /// Returns when blob and layer are published. Throws what ended it.
  void run(const Descriptor& blob, const Digest& diff_id);

 private:
  void download_and_commit(const Descriptor& blob, const Digest& diff_id);
};

/// Swallows everything: for callers without progress.
TransferProgress& silent_progress();

}  // namespace ctr
