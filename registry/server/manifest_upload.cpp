#include "registry/server/manifest_upload.h"

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "image/manifest.h"
#include "image/reference.h"
#include "registry/server/api_reply.h"

namespace ctr {
namespace {

constexpr std::size_t kLargestManifest = 4 * 1024 * 1024;

class ManifestUpload : public ServerBody {
 public:
  ManifestUpload(Repositories& repositories, std::string name, std::string type, std::optional<Digest> digest,
                 std::vector<std::string> tags)
      : repositories_(repositories),
        name_(std::move(name)),
        type_(std::move(type)),
        digest_(std::move(digest)),
        tags_(std::move(tags)) {}

  void write(Bytes data) override {
    if (data.size() > kLargestManifest - bytes_.size()) {
      is_too_large_ = true;
      return;
    }
    if (!is_too_large_) bytes_.append(as_chars(data));
  }

  ServerReply finish() override {
    if (is_too_large_) return error_reply(413, "MANIFEST_INVALID", "manifest is larger than 4 MiB");
    const Digest digest = Digest::of(bytes_);
    if (digest_ && *digest_ != digest) {
      return error_reply(400, "DIGEST_INVALID", "provided digest did not match uploaded content");
    }
    try {
      return publish(parse_manifest_or_index(bytes_, type_), digest);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::Invalid) throw;
      return error_reply(400, "MANIFEST_INVALID", error.what());
    }
  }

 private:
  ServerReply publish(const ManifestOrIndex& document, const Digest& digest) {
    const auto hold = repositories_.hold();
    const std::vector<Digest> missing = repositories_.missing_from(name_, document);
    if (!missing.empty()) {
      return error_reply(404, "MANIFEST_BLOB_UNKNOWN", "manifest references a manifest or blob unknown to registry",
                         Json::object({{"digest", Json(missing.front().str())}}));
    }
    const std::string type =
        type_.empty() ? std::visit([](const auto& value) { return value.media_type; }, document) : type_;
    repositories_.put_manifest(name_, bytes_, type, document, tags_);
    ServerReply reply = empty_reply(
        201, {{"Location", "/v2/" + name_ + "/manifests/" + digest.str()}, {"Docker-Content-Digest", digest.str()}});
    const auto& subject =
        std::visit([](const auto& value) -> const std::optional<Descriptor>& { return value.subject; }, document);
    if (subject) reply.headers.add("OCI-Subject", subject->digest.str());
    for (const std::string& tag : tags_) reply.headers.add("OCI-Tag", tag);
    return reply;
  }

  Repositories& repositories_;
  std::string name_;
  std::string type_;
  std::optional<Digest> digest_;
  std::vector<std::string> tags_;
  std::string bytes_;
  bool is_too_large_ = false;
};

}  // namespace

ServerAction start_manifest_upload(Repositories& repositories, const ServerRequest& request, const std::string& name,
                                   const std::string& reference) {
  const std::string header = request.headers.find("Content-Type").value_or("");
  std::string type(trim(header.substr(0, header.find(';'))));
  if (type == "application/json") type.clear();
  auto digest = Digest::try_parse(reference);
  std::vector<std::string> tags;
  if (!digest) tags.push_back(reference);
  const auto [first, last] = request.all_query.equal_range("tag");
  for (auto it = first; it != last; ++it) {
    if (!is_valid_tag(it->second)) return error_reply(400, "TAG_INVALID", "manifest tag is malformed");
    tags.push_back(it->second);
  }
  return std::make_unique<ManifestUpload>(repositories, name, std::move(type), std::move(digest), std::move(tags));
}

}  // namespace ctr
