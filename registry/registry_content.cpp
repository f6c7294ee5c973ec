#include <mutex>

#include "base/error.h"
#include "image/manifest.h"
#include "registry/blob_upload.h"
#include "registry/content.h"
#include "registry/remote_blob.h"

namespace ctr {
namespace {

class RegistrySource : public ContentSource {
 public:
  RegistrySource(RegistrySession& session, const std::string& host, const std::string& repository)
      : session_(session), client_(session, host, repository, Access::Pull) {}

  FetchedManifest manifest(const std::string& reference) override { return client_.get_manifest(reference); }
  std::unique_ptr<HttpBodySource> open_blob(const Descriptor& blob) override {
    return std::make_unique<RemoteBlob>(client_, blob, session_.retry());
  }
  std::vector<Descriptor> referrers(const Digest& subject) override { return client_.referrers(subject); }
  std::optional<std::pair<std::string, std::string>> repository() const override {
    return std::make_pair(client_.host(), client_.repository());
  }

 private:
  RegistrySession& session_;
  RegistryClient client_;
};

class RegistryTarget : public ContentTarget {
 public:
  RegistryTarget(RegistrySession& session, const std::string& host, const std::string& repository,
                 TransferProgress& progress)
      : client_(session, host, repository, Access::Push),
        progress_(progress),
        upload_{client_, session.retry(), progress} {}

  bool has_manifest(const Digest& digest) override { return client_.head_manifest(digest.str()).has_value(); }

  void put_blob(const Descriptor& blob, ContentSource& source, const std::string& id) override {
    std::vector<std::string> mounts;
    const auto from = source.repository();
    if (from && from->first == client_.host() && from->second != client_.repository()) mounts.push_back(from->second);
    const UploadReport report = upload_.run(blob, id, mounts, [&] { return source.open_blob(blob); });
    switch (report.outcome) {
      case UploadOutcome::AlreadyThere:
        return progress_.layer({id, LayerState::LayerAlreadyExists, 0, blob.size, {}});
      case UploadOutcome::Mounted:
        return progress_.layer({id, LayerState::MountedFrom, 0, blob.size, report.mounted_from});
      case UploadOutcome::Sent:
        return progress_.layer({id, LayerState::Pushed, blob.size, blob.size, {}});
    }
  }

  void put_manifest(const FetchedManifest& manifest, const std::optional<std::string>& tag) override {
    const Digest& digest = manifest.descriptor.digest;
    if (tag) {
      // Asked first: a tag that is immutable takes nothing, not even the same again.
      const auto head = client_.head_manifest(*tag);
      if (head && head->digest == digest) return;
    }
    client_.put_manifest(tag.value_or(digest.str()), manifest.descriptor.media_type, manifest.bytes);
  }

  // Where the registry has no referrers API, clients keep an index under the tag sha256-<hex> of the subject. That is
  // asked of the API itself: Amazon's registry once sent OCI-Subject without having one.
  void link_referrer(const Digest& subject, const Descriptor& referrer) override {
    const std::lock_guard guard(referrers_mutex_);
    if (client_.has_referrers_api(subject)) return;
    const std::string tag = "sha256-" + subject.hex();
    Index index;
    index.media_type = std::string(media_type::kOciIndex);
    if (client_.head_manifest(tag)) index = parse_index(client_.get_manifest(tag).bytes, media_type::kOciIndex);
    for (const Descriptor& known : index.manifests) {
      if (known.digest == referrer.digest) return;
    }
    index.manifests.push_back(referrer);
    client_.put_manifest(tag, index.media_type, serialise(index));
  }

 private:
  RegistryClient client_;
  TransferProgress& progress_;
  BlobUpload upload_;
  std::mutex referrers_mutex_;
};

}  // namespace

std::unique_ptr<ContentSource> registry_source(RegistrySession& session, const std::string& host,
                                               const std::string& repository) {
  return std::make_unique<RegistrySource>(session, host, repository);
}

std::unique_ptr<ContentTarget> registry_target(RegistrySession& session, const std::string& host,
                                               const std::string& repository, TransferProgress& progress) {
  return std::make_unique<RegistryTarget>(session, host, repository, progress);
}

}  // namespace ctr
