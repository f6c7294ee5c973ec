// One blob's way into a registry: asks first, mounts from another repository if one has it, else sends it whole with
// POST and PUT (never in chunks: Amazon's registry drops all but the first), and begins again after a break.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "image/descriptor.h"
#include "registry/progress.h"
#include "registry/registry_client.h"
#include "registry/retry.h"

namespace ctr {

enum class UploadOutcome { AlreadyThere, Mounted, Sent };

struct UploadReport {
  UploadOutcome outcome = UploadOutcome::Sent;
  std::string mounted_from = {};
};

struct BlobUpload {
  RegistryClient& client;
  const RetryPolicy& retry;
  TransferProgress& progress;

  /// Ensures that the repository has the blob. `open_body` is called once for each attempt that sends bytes.
  UploadReport run(const Descriptor& blob, const std::string& progress_id,
                   const std::vector<std::string>& mount_candidates,
                   const std::function<std::unique_ptr<HttpBodySource>()>& open_body);
};

}  // namespace ctr
