#include "registry/server/registry_api.h"

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "image/manifest.h"
#include "image/reference.h"
#include "registry/server/api_reply.h"
#include "registry/server/byte_range.h"
#include "registry/server/manifest_upload.h"

namespace ctr {
namespace {

// "/v2/<name>/<endpoint>/<rest>": the name may hold slashes, so the endpoint is looked for from the end.
struct Parts {
  std::string name;
  std::string endpoint;
  std::string rest;
};

std::optional<Parts> parse_path(std::string_view path) {
  const std::string_view below = without_prefix(path, "/v2/");
  struct Form {
    std::string_view middle;
    std::string_view endpoint;
  };
  for (const Form& form :
       {Form{"/blobs/uploads/", "uploads"}, Form{"/blobs/", "blobs"}, Form{"/manifests/", "manifests"},
        Form{"/referrers/", "referrers"}, Form{"/tags/list", "tags"}}) {
    const std::size_t at = below.rfind(form.middle);
    if (at == std::string_view::npos || at == 0) continue;
    std::string_view rest = below.substr(at + form.middle.size());
    if (form.endpoint == "tags" ? !rest.empty() : rest.find('/') != std::string_view::npos) continue;
    return Parts{std::string(below.substr(0, at)), std::string(form.endpoint), std::string(rest)};
  }
  if (below.ends_with("/blobs/uploads")) {
    return Parts{std::string(without_suffix(below, "/blobs/uploads")), "uploads", ""};
  }
  return std::nullopt;
}

bool is_read(const ServerRequest& request) {
  return request.method == "GET" || request.method == "HEAD";
}

ServerReply unsupported() {
  return error_reply(405, "UNSUPPORTED", "The operation is unsupported.");
}

ServerReply manifest_unknown(const std::string& reference) {
  return error_reply(404, "MANIFEST_UNKNOWN", "manifest unknown", Json::object({{"Reference", Json(reference)}}));
}

}  // namespace

ServerAction RegistryApi::handle(const ServerRequest& request) {
  std::string user;
  if (passwords_ != nullptr) {
    const auto found = passwords_->authenticate(request.headers.find("Authorization"));
    if (!found) {
      ServerReply reply = error_reply(401, "UNAUTHORIZED", "authentication required");
      reply.headers.add("WWW-Authenticate", "Basic realm=\"ctr registry\"");
      return reply;
    }
    user = *found;
  }
  if (access_ == WriteAccess::ReadOnly && !is_read(request)) {
    return error_reply(405, "UNSUPPORTED", "this registry is read-only");
  }
  ServerAction action = route(request);
  if (auto* reply = std::get_if<ServerReply>(&action)) {
    reply->user = user;
    reply->headers.add("Docker-Distribution-API-Version", "registry/2.0");
  }
  return action;
}

ServerAction RegistryApi::route(const ServerRequest& request) {
  if (request.path == "/v2/" || request.path == "/v2")
    return is_read(request) ? json_reply(Json::object()) : unsupported();
  if (request.path == "/v2/_catalog") return is_read(request) ? catalog(request) : unsupported();
  if (request.path == "/") return empty_reply(200);
  if (!request.path.starts_with("/v2/")) return error_reply(404, "NOT_FOUND", "there is only /v2/ here");
  const auto parts = parse_path(request.path);
  if (!parts) return error_reply(404, "NOT_FOUND", "no such endpoint");
  if (!is_valid_repository_name(parts->name)) return error_reply(400, "NAME_INVALID", "invalid repository name");
  if (parts->endpoint == "manifests") return manifest(request, parts->name, parts->rest);
  if (parts->endpoint == "blobs") return blob(request, parts->name, parts->rest);
  if (parts->endpoint == "uploads") {
    return parts->rest.empty() ? start_upload(request, parts->name) : upload(request, parts->name, parts->rest);
  }
  if (!is_read(request)) return unsupported();
  return parts->endpoint == "tags" ? tags(request, parts->name) : referrers(request, parts->name, parts->rest);
}

ServerReply RegistryApi::catalog(const ServerRequest& request) {
  return page_reply(request, repositories_.repositories(), "repositories", Json::object());
}

ServerReply RegistryApi::tags(const ServerRequest& request, const std::string& name) {
  if (!repositories_.exists(name)) {
    return error_reply(404, "NAME_UNKNOWN", "repository name not known to registry",
                       Json::object({{"name", Json(name)}}));
  }
  return page_reply(request, repositories_.tags(name), "tags", Json::object({{"name", Json(name)}}));
}

ServerReply RegistryApi::referrers(const ServerRequest& request, const std::string& name, const std::string& subject) {
  const auto digest = Digest::try_parse(subject);
  if (!digest) return error_reply(400, "DIGEST_INVALID", "the subject is not a digest");
  Index index;
  index.media_type = std::string(media_type::kOciIndex);
  index.manifests = repositories_.referrers(name, *digest);
  const auto type = request.parameter("artifactType");
  if (type && !type->empty()) {
    std::erase_if(index.manifests, [&](const Descriptor& referrer) { return referrer.artifact_type != *type; });
  }
  ServerReply reply;
  reply.headers.add("Content-Type", index.media_type);
  if (type && !type->empty()) reply.headers.add("OCI-Filters-Applied", "artifactType");
  reply.body = serialise(index);
  return reply;
}

ServerAction RegistryApi::manifest(const ServerRequest& request, const std::string& name,
                                   const std::string& reference) {
  const auto digest = Digest::try_parse(reference);
  if (!digest && !is_valid_tag(reference)) {
    return reference.find(':') != std::string::npos
               ? error_reply(400, "DIGEST_INVALID", "provided digest is malformed or of an unknown algorithm")
               : error_reply(400, "TAG_INVALID", "manifest tag is malformed");
  }
  if (is_read(request)) return get_manifest(request, name, reference);
  if (request.method == "DELETE") return delete_manifest(name, reference);
  if (request.method == "PUT") return start_manifest_upload(repositories_, request, name, reference);
  return unsupported();
}

ServerReply RegistryApi::get_manifest(const ServerRequest& request, const std::string& name,
                                      const std::string& reference) {
  auto digest = Digest::try_parse(reference);
  if (!digest) digest = repositories_.find_tag(name, reference);
  const auto type = digest ? repositories_.manifest_type(name, *digest) : std::nullopt;
  if (!type) {
    return repositories_.exists(name) ? manifest_unknown(reference)
                                      : error_reply(404, "NAME_UNKNOWN", "repository name not known to registry",
                                                    Json::object({{"name", Json(name)}}));
  }
  const HttpHeaders headers{{"Docker-Content-Digest", digest->str()}, {"ETag", "\"" + digest->str() + "\""}};
  if (request.headers.find("If-None-Match") == "\"" + digest->str() + "\"") return empty_reply(304, headers);
  ServerReply reply = empty_reply(200, headers);
  reply.headers.add("Content-Type", *type);
  reply.body = repositories_.blobs().read(*digest, kManifestLimit);
  return reply;
}

ServerReply RegistryApi::delete_manifest(const std::string& name, const std::string& reference) {
  const auto hold = repositories_.hold();
  const auto digest = Digest::try_parse(reference);
  const bool removed =
      digest ? repositories_.remove_manifest(name, *digest) : repositories_.remove_tag(name, reference);
  return removed ? empty_reply(202) : manifest_unknown(reference);
}

ServerReply RegistryApi::blob(const ServerRequest& request, const std::string& name, const std::string& reference) {
  const auto digest = Digest::try_parse(reference);
  if (!digest) return error_reply(400, "DIGEST_INVALID", "provided digest is malformed or of an unknown algorithm");
  const Json detail = Json::object({{"digest", Json(reference)}});
  if (request.method == "DELETE") {
    const auto hold = repositories_.hold();
    return repositories_.remove_blob(name, *digest)
               ? empty_reply(202)
               : error_reply(404, "BLOB_UNKNOWN", "blob unknown to registry", detail);
  }
  if (!is_read(request)) return unsupported();
  if (!repositories_.has_blob(name, *digest)) {
    return error_reply(404, "BLOB_UNKNOWN", "blob unknown to registry", detail);
  }
  return get_blob(request, *digest);
}

ServerReply RegistryApi::get_blob(const ServerRequest& request, const Digest& digest) {
  const std::uint64_t size = repositories_.blobs().find_size(digest).value_or(0);
  ServerReply reply;
  reply.headers = {{"Content-Type", "application/octet-stream"},
                   {"Docker-Content-Digest", digest.str()},
                   {"ETag", "\"" + digest.str() + "\""},
                   {"Cache-Control", "max-age=31536000"},
                   {"Accept-Ranges", "bytes"}};
  if (request.headers.find("If-None-Match") == "\"" + digest.str() + "\"") return empty_reply(304, reply.headers);
  reply.file = repositories_.blobs().open(digest);
  reply.size = size;
  const auto header = request.headers.find("Range");
  if (!header) return reply;
  const ByteRange range = parse_byte_range(*header, size);
  if (range.kind == ByteRange::Kind::Whole) return reply;
  if (range.kind == ByteRange::Kind::Unsatisfiable) {
    return empty_reply(416, {{"Content-Range", "bytes */" + std::to_string(size)}});
  }
  reply.status = 206;
  reply.offset = range.first;
  reply.size = range.last - range.first + 1;
  reply.headers.add("Content-Range", "bytes " + std::to_string(range.first) + "-" + std::to_string(range.last) + "/" +
                                         std::to_string(size));
  return reply;
}

}  // namespace ctr
