// The distribution-spec for one repository on one host, one method an endpoint. Gets answers through requester.h and
// turns those that are errors into one sentence. Knows neither the store nor platforms.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "image/descriptor.h"
#include "image/digest.h"
#include "registry/http.h"
#include "registry/registry_error.h"
#include "registry/requester.h"

namespace ctr {

/// A manifest or index as served, verified against its digest.
struct FetchedManifest {
  Descriptor descriptor;
  std::string bytes;
};

/// What the last answer said about limits on pulls ("100;w=21600").
struct RateLimit {
  std::string limit;
  std::string remaining;
  std::string source;
};

/// An upload session is where it goes on.
struct UploadSession {
  Url location;
  std::uint64_t chunk_minimum = 0;
};

/// Receives a blob. The stream starts at `offset`, which is 0 if the server ignored the range that was asked for.
class BlobReceiver {
 public:
  virtual ~BlobReceiver() = default;
  virtual void begin(std::uint64_t offset) = 0;
  virtual void write(Bytes data) = 0;
};

/// What a registry says to a manifest that it takes.
struct PutManifestAnswer {
  Digest digest;
  std::optional<std::string> subject = {};  ///< OCI-Subject: it keeps referrers itself, if it is to be believed
};

/// Thread safe but for set_retry_listener. All methods throw RegistryError or TransportError.
class RegistryClient {
 public:
  RegistryClient(RegistrySession& session, std::string host, std::string repository, Access access);

  const std::string& host() const noexcept { return host_; }
  const std::string& repository() const noexcept { return repository_; }
  /// "busybox", "localhost:5000/app"
  const std::string& familiar_name() const noexcept { return familiar_name_; }

  /// GET /v2/. Throws Denied if credentials are refused or missing.
  void ping();

  /// HEAD of a tag or digest; none for 404. Asks with GET where the answer to HEAD lacks the digest.
  std::optional<Descriptor> head_manifest(const std::string& reference);
  FetchedManifest get_manifest(const std::string& reference);
  /// `reference` is a tag or the digest. Throws Corrupt if the registry reports another digest than ours.
  PutManifestAnswer put_manifest(const std::string& reference, std::string_view media_type, const std::string& bytes);
  /// A tag or a manifest by digest. Throws Invalid where the registry does not support it (405).
  void delete_manifest(const std::string& reference);

  /// Whether the blob exists; false too when the registry would not say (an upload then tells).
  bool has_blob(const Digest& digest);
  /// One attempt: streams from `offset` on. The caller verifies, and resumes.
  void get_blob(const Digest& digest, std::uint64_t offset, BlobReceiver& receiver);
  /// The whole of a small blob, verified, with retries.
  std::string read_blob(const Descriptor& descriptor, std::size_t limit);
  void delete_blob(const Digest& digest);

  /// Asks to mount the blob from another repository of this host: none if it is there now, else a session to upload
  /// it (the usual answer of registries that don't mount).
  std::optional<UploadSession> mount_blob(const Digest& digest, const std::string& from_repository);
  UploadSession start_upload();
  /// Sends all of `body` and ends the session. Not repeated: after a failure begin with a new session.
  void finish_upload(const UploadSession& session, const Digest& digest, HttpBodySource* body);
  /// One PATCH of `body` at `offset`; go on with the session that comes back.
  UploadSession patch_upload(const UploadSession& session, HttpBodySource& body, std::uint64_t offset);
  void cancel_upload(const UploadSession& session);

  std::vector<std::string> tags();
  /// All repositories of the host that it lists.
  std::vector<std::string> catalog();
  /// What refers to `subject`: by the API, or by the tag sha256-<hex> where there is none.
  std::vector<Descriptor> referrers(const Digest& subject, const std::string& artifact_type = {});
  /// Whether the registry has the referrers API.
  bool has_referrers_api(const Digest& subject);

  /// None if no answer spoke of limits.
  std::optional<RateLimit> rate_limit() const;
  void set_retry_listener(RetryListener listener) { requester_.set_retry_listener(std::move(listener)); }

 private:
  RegistryAnswer send(const RegistryCall& call);
  std::string path(std::string_view rest) const { return "/" + repository_ + "/" + std::string(rest); }
  RegistryRequest request(RegistryRequest::Action action, const std::string& reference = {}) const;
  [[noreturn]] void fail(RegistryRequest::Action action, const RegistryAnswer& answer,
                         const std::string& reference = {}) const;
  UploadSession session_of(const RegistryAnswer& answer) const;
  std::vector<std::string> list(const std::string& path, const std::string& member, const Scopes& scopes);

  RegistrySession* session_;
  std::string host_;
  std::string repository_;
  std::string familiar_name_;
  Requester requester_;
  mutable std::mutex rate_limit_mutex_;
  RateLimit rate_limit_;
};

}  // namespace ctr
