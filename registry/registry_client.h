// The distribution-spec for one repository on one host, one method an endpoint. Authorizes, follows redirects
// (credentials never leave the host), tries mirrors and plain HTTP in the order of the host's configuration, and
// turns error answers into one sentence. Retries requests that have no body or a body that can rewind.
#pragma once

#include "image/descriptor.h"
#include "image/digest.h"
#include "registry/authorizer.h"
#include "registry/host.h"
#include "registry/http.h"
#include "registry/retry.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ctr {

class RegistrySession;

/// A manifest or index as served, verified against its digest.
struct FetchedManifest {
  Descriptor descriptor;
  std::string bytes;
};

/// Counts from registries that limit pulls ("100;w=21600").
struct RateLimit {
  std::string limit;
  std::string remaining;
  std::string source;
};

/// An upload session: its Location is all there is.
struct UploadSession {
  std::string location;
  std::uint64_t chunk_minimum = 0;
};

/// Receives a blob. The stream starts at `offset`, which is 0 if the server ignored the Range.
class BlobReceiver {
 public:
  virtual ~BlobReceiver() = default;
  virtual void begin(std::uint64_t offset) = 0;
  virtual void write(Bytes data) = 0;
};

class RegistryClient {
 public:
  RegistryClient(RegistrySession& session, std::string host, std::string repository);

  const std::string& host() const noexcept { return host_; }
  const std::string& repository() const noexcept { return repository_; }

  /// GET /v2/. Throws Denied if credentials are refused.
  void ping();

  /// HEAD of a tag or digest; none for 404. Falls back to GET where HEAD is not served.
  std::optional<Descriptor> head_manifest(std::string_view reference);
  FetchedManifest get_manifest(std::string_view reference);
  /// Returns the digest that the registry confirms; throws Corrupt if it differs from ours.
  Digest put_manifest(std::string_view reference, const Descriptor& descriptor, std::string_view bytes);
  void delete_manifest(std::string_view reference);

  /// Size of the blob if it exists; none for 404 or when the registry would not say.
  std::optional<std::uint64_t> head_blob(const Digest& digest);
  /// One attempt: streams from `offset` on. The caller verifies, and resumes.
  void get_blob(const Digest& digest, std::uint64_t offset, BlobReceiver& receiver);
  /// The whole of a small blob, verified, with retries.
  std::string read_blob(const Descriptor& descriptor, std::size_t limit);
  void delete_blob(const Digest& digest);

  /// POST with mount: none if the blob is there now, otherwise a session to upload it.
  std::optional<UploadSession> mount_blob(const Digest& digest, std::string_view from_repository);
  UploadSession start_upload();
  /// Monolithic PUT that ends the session.
  void finish_upload(const UploadSession& session, const Digest& digest, HttpBodySource& body);
  /// One PATCH from `offset` on; the session that comes back is the one to continue with.
  UploadSession patch_upload(const UploadSession& session, HttpBodySource& body, std::uint64_t offset);
  void cancel_upload(const UploadSession& session);

  std::vector<std::string> tags();
  std::vector<std::string> catalog();
  /// Descriptors that refer to `subject`: the API, or the tag sha256-<hex> where there is none.
  std::vector<Descriptor> referrers(const Digest& subject, std::string_view artifact_type = {});

  /// What the last answers said about rate limits.
  std::optional<RateLimit> rate_limit() const;

 private:
  struct Exchange;

  RegistrySession* session_;
  std::string host_;
  std::string repository_;
  std::vector<Endpoint> endpoints_;
};

}  // namespace ctr
