// What the server keeps: blobs once, in the content store, and for each repository which of them it has, its manifests,
// tags and referrers: one small file an object, so that nothing is locked for reading and a crash leaves no half.
//
//   blobs/sha256/<hex>                        repositories/<name>/_blobs/<hex>
//   ingest/                                   repositories/<name>/_manifests/<hex>        the media type
//   server.lock   one server a directory      repositories/<name>/_tags/<tag>             a digest
//                                             repositories/<name>/_referrers/<hex>/<hex>  a descriptor
#pragma once

#include <chrono>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/lock.h"
#include "image/blob_store.h"
#include "image/descriptor.h"
#include "image/durability.h"
#include "image/manifest.h"

namespace ctr {

struct CollectedBlobs {
  std::size_t blobs_removed = 0;
  std::uint64_t bytes_removed = 0;
};

/// Safe for use by several threads; one process a directory. Names must be valid (see is_valid_repository_name).
class Repositories {
 public:
  /// Throws Busy if another server uses the directory.
  explicit Repositories(const fs::path& root);

  const BlobStore& blobs() const noexcept { return blobs_; }

  bool exists(const std::string& repository) const;
  bool has_blob(const std::string& repository, const Digest& digest) const;
  /// REQUIRES: the blob is in the store, and collection is held off by the caller (see hold).
  void add_blob(const std::string& repository, const Digest& digest);
  /// Whether it was there.
  bool remove_blob(const std::string& repository, const Digest& digest);

  std::optional<Digest> find_tag(const std::string& repository, const std::string& tag) const;
  std::optional<std::string> manifest_type(const std::string& repository, const Digest& digest) const;
  /// Blobs and child manifests that the document names and the repository lacks.
  std::vector<Digest> missing_from(const std::string& repository, const ManifestOrIndex& document) const;
  /// Stores, makes durable, and only then names.
  void put_manifest(const std::string& repository, const std::string& bytes, const std::string& media_type,
                    const ManifestOrIndex& document, const std::vector<std::string>& tags);
  bool remove_manifest(const std::string& repository, const Digest& digest);
  bool remove_tag(const std::string& repository, const std::string& tag);

  /// Sorted.
  std::vector<std::string> tags(const std::string& repository) const;
  std::vector<std::string> repositories() const;
  std::vector<Descriptor> referrers(const std::string& repository, const Digest& subject) const;

  /// While this is held nothing is collected: from finding a blob to naming it.
  std::shared_lock<std::shared_mutex> hold() { return std::shared_lock(collection_); }

  /// Removes blobs that no manifest names and that are older than `grace` (an image that is being pushed has no
  /// manifest yet). Waits for those who hold.
  CollectedBlobs collect(std::chrono::seconds grace);

 private:
  void settle_lost();
  fs::path directory(const std::string& repository) const { return root_ / "repositories" / repository; }

  fs::path root_;
  FileLock lock_;
  UnsyncedMarkers markers_;
  BlobStore blobs_;
  std::shared_mutex collection_;
};

bool is_valid_repository_name(const std::string& name);

}  // namespace ctr
