// Uploads of blobs: POST begins (and may mount or bring all), PATCH appends, PUT ends, GET asks, DELETE gives up.
#include "base/error.h"
#include "base/text.h"
#include "registry/server/api_reply.h"
#include "registry/server/byte_range.h"
#include "registry/server/registry_api.h"

namespace ctr {
namespace {

HttpHeaders session_headers(const UploadSessions::Session& session) {
  const std::uint64_t size = session.writer.offset();
  return {{"Location", "/v2/" + session.repository + "/blobs/uploads/" + session.id},
          {"Docker-Upload-UUID", session.id},
          {"Range", "0-" + std::to_string(size == 0 ? 0 : size - 1)}};
}

ServerReply created_reply(const std::string& name, const Digest& digest) {
  return empty_reply(201,
                     {{"Location", "/v2/" + name + "/blobs/" + digest.str()}, {"Docker-Content-Digest", digest.str()}});
}

// Ends a session: what arrived must be what was announced.
ServerReply publish(Repositories& repositories, UploadSessions::Lease& lease, const Digest& digest) {
  const std::unique_ptr<UploadSessions::Session> session = lease.take();
  const std::string name = session->repository;
  if (session->writer.digest() != digest) {
    std::move(session->writer).discard();
    return error_reply(400, "DIGEST_INVALID", "provided digest did not match uploaded content",
                       Json::object({{"digest", Json(digest.str())}}));
  }
  const auto hold = repositories.hold();
  std::move(session->writer).commit("application/octet-stream");
  repositories.add_blob(name, digest);
  return created_reply(name, digest);
}

// The body of a PATCH (without a digest) or a PUT (with one) is appended to the session.
class BlobBody : public ServerBody {
 public:
  BlobBody(Repositories& repositories, UploadSessions::Lease lease, std::optional<Digest> digest)
      : repositories_(repositories), lease_(std::move(lease)), digest_(std::move(digest)) {}

  void write(Bytes data) override { lease_->writer.write(data); }
  ServerReply finish() override {
    if (digest_) return publish(repositories_, lease_, *digest_);
    return empty_reply(202, session_headers(*lease_));
  }

 private:
  Repositories& repositories_;
  UploadSessions::Lease lease_;
  std::optional<Digest> digest_;
};

ServerReply bad_digest() {
  return error_reply(400, "DIGEST_INVALID", "provided digest is malformed or of an unknown algorithm");
}

}  // namespace

ServerAction RegistryApi::start_upload(const ServerRequest& request, const std::string& name) {
  if (request.method != "POST") return error_reply(405, "UNSUPPORTED", "The operation is unsupported.");
  if (const auto mount = request.parameter("mount")) {
    const auto digest = Digest::try_parse(*mount);
    if (!digest) return bad_digest();
    const std::string from = request.parameter("from").value_or("");
    const auto hold = repositories_.hold();
    if (is_valid_repository_name(from) && repositories_.has_blob(from, *digest)) {
      repositories_.add_blob(name, *digest);
      return created_reply(name, *digest);
    }
  }
  std::optional<Digest> digest;
  if (const auto text = request.parameter("digest")) {
    digest = Digest::try_parse(*text);
    if (!digest) return bad_digest();
  }
  UploadSessions::Lease lease = uploads_.start(name);
  if (!digest) return empty_reply(202, session_headers(*lease));
  return std::make_unique<BlobBody>(repositories_, std::move(lease), std::move(digest));
}

ServerAction RegistryApi::upload(const ServerRequest& request, const std::string& name, const std::string& id) {
  UploadSessions::Absence absence{};
  std::optional<UploadSessions::Lease> lease = uploads_.find(name, id, absence);
  if (!lease) {
    return absence == UploadSessions::Absence::Busy
               ? error_reply(409, "BLOB_UPLOAD_INVALID", "another request works on this upload")
               : error_reply(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry");
  }
  if (request.method == "GET" || request.method == "HEAD") return empty_reply(204, session_headers(**lease));
  if (request.method == "DELETE") {
    std::move(lease->take()->writer).discard();
    return empty_reply(204);
  }
  if (request.method != "PATCH" && request.method != "PUT") {
    return error_reply(405, "UNSUPPORTED", "The operation is unsupported.");
  }
  std::optional<Digest> digest;
  if (request.method == "PUT") {
    digest = Digest::try_parse(request.parameter("digest").value_or(""));
    if (!digest) return bad_digest();
  }
  if (const auto header = request.headers.find("Content-Range")) {
    const auto range = parse_chunk_range(*header);
    const auto length = parse_uint(request.headers.find("Content-Length").value_or(""));
    const bool fits =
        range && range->first == (*lease)->writer.offset() && (!length || *length == range->second - range->first + 1);
    if (!fits) {
      ServerReply reply = error_reply(416, "BLOB_UPLOAD_INVALID", "the chunk does not begin where the upload ends");
      const HttpHeaders headers = session_headers(**lease);
      for (const auto& [key, value] : headers.fields()) reply.headers.add(key, value);
      return reply;
    }
  }
  return std::make_unique<BlobBody>(repositories_, std::move(*lease), std::move(digest));
}

}  // namespace ctr
