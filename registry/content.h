// Where images are copied from and to without being unpacked: a registry's repository or a directory in OCI layout.
// Virtual because there are these two.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "image/descriptor.h"
#include "registry/http.h"
#include "registry/progress.h"
#include "registry/registry_client.h"
#include "registry/session.h"

namespace ctr {

/// Thread safe.
class ContentSource {
 public:
  virtual ~ContentSource() = default;
  /// By tag or digest, verified. Throws NotFound.
  virtual FetchedManifest manifest(const std::string& reference) = 0;
  /// The bytes of a blob, to be read by one thread.
  virtual std::unique_ptr<HttpBodySource> open_blob(const Descriptor& blob) = 0;
  /// What refers to `subject`.
  virtual std::vector<Descriptor> referrers(const Digest& subject) = 0;
  /// Host and repository, if it is one: blobs may be mounted from there.
  virtual std::optional<std::pair<std::string, std::string>> repository() const { return std::nullopt; }
};

/// Thread safe but for finish.
class ContentTarget {
 public:
  virtual ~ContentTarget() = default;
  virtual bool has_manifest(const Digest& digest) = 0;
  /// Brings a blob if it is missing, and reports under `progress_id`.
  virtual void put_blob(const Descriptor& blob, ContentSource& source, const std::string& progress_id) = 0;
  /// Under a tag, or under its digest alone.
  virtual void put_manifest(const FetchedManifest& manifest, const std::optional<std::string>& tag) = 0;
  /// Makes a manifest findable from its subject, where putting it does not.
  virtual void link_referrer(const Digest& subject, const Descriptor& referrer) = 0;
  virtual void finish() {}
};

std::unique_ptr<ContentSource> registry_source(RegistrySession& session, const std::string& host,
                                               const std::string& repository);
std::unique_ptr<ContentTarget> registry_target(RegistrySession& session, const std::string& host,
                                               const std::string& repository, TransferProgress& progress);

/// A directory with oci-layout, index.json and blobs/.
std::unique_ptr<ContentSource> layout_source(const fs::path& directory);
std::unique_ptr<ContentTarget> layout_target(const fs::path& directory, TransferProgress& progress);

}  // namespace ctr
