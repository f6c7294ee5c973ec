#include "tests/support/registry_fake.h"

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "registry/base64.h"

namespace ctr {
namespace {

std::string decode_percent(const std::string& text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      result += static_cast<char>(parse_uint(text.substr(i + 1, 2), 16).value_or('?'));
      i += 2;
    } else {
      result += text[i];
    }
  }
  return result;
}

FakeReply error_reply(int status, const std::string& code, const std::string& message) {
  return {status, {}, R"({"errors":[{"code":")" + code + R"(","message":")" + message + R"("}]})"};
}

}  // namespace

std::string query_value(const Url& url, const std::string& key) {
  for (const std::string& part : split(url.query, '&')) {
    const auto pair = cut(part, '=');
    if (pair && pair->first == key) return decode_percent(pair->second);
  }
  return {};
}

HttpResponse FakeRegistry::perform(const HttpRequest& request, HttpBodySink& sink) {
  FakeRequest seen{request.method, Url::parse(request.url), request.headers, {}, request.addresses};
  if (request.body != nullptr) {
    std::vector<std::byte> buffer(4096);
    while (const std::size_t got = request.body->read(buffer)) seen.body.append(as_chars(Bytes(buffer.data(), got)));
  }
  const FakeReply reply = respond(seen);
  HttpResponse response{reply.status, reply.headers};
  if (!response.headers.find("Content-Length")) {
    response.headers.add("Content-Length", std::to_string(reply.body.size()));
  }
  sink.begin(response);
  if (request.method == "HEAD") return response;
  const std::size_t end = std::min(reply.break_after.value_or(reply.body.size()), reply.body.size());
  for (std::size_t i = 0; i < end; i += 1000) {
    sink.write(as_bytes(std::string_view(reply.body).substr(i, std::min<std::size_t>(1000, end - i))));
  }
  if (reply.break_after) throw TransportError(TransportFailure::Broken, "the connection broke");
  return response;
}

FakeReply FakeRegistry::respond(const FakeRequest& request) {
  const std::lock_guard guard(mutex_);
  requests_.push_back(request);
  std::optional<FakeReply> bent = intercept ? intercept(request) : std::nullopt;
  return bent ? *bent : answer(request);
}

void FakeRegistry::expire_tokens() {
  const std::lock_guard guard(mutex_);
  first_valid_token_ = tokens_ + 1;
}

FakeReply FakeRegistry::answer(const FakeRequest& request) {
  if (request.url.path == "/token") return give_token(request);
  if (auto denied = challenge(request)) return *denied;
  return serve(request);
}

FakeReply FakeRegistry::give_token(const FakeRequest& request) {
  const auto header = request.headers.find("Authorization");
  const bool named = header == "Basic " + base64_encode(username + ":" + password);
  if (header && !named) return {401, {}, R"({"details":"incorrect username or password"})"};
  ++tokens_;
  const std::string scope = query_value(request.url, "scope");
  const std::string token = (named ? "full." : "anonymous.") + std::to_string(tokens_) + "." + base64_encode(scope);
  return {200, {}, R"({"token":")" + token + R"(","expires_in":300})"};
}

std::optional<FakeReply> FakeRegistry::challenge(const FakeRequest& request) const {
  const std::string header = request.headers.find("Authorization").value_or("");
  const bool writes = request.method != "GET" && request.method != "HEAD";
  if (auth == Auth::Basic && header != "Basic " + base64_encode(username + ":" + password)) {
    FakeReply reply = error_reply(401, "UNAUTHORIZED", "authentication required");
    reply.headers.add("WWW-Authenticate", "Basic realm=\"test\"");
    return reply;
  }
  if (auth != Auth::Bearer) return std::nullopt;
  const auto pieces = split(header, '.');
  const bool is_valid = pieces.size() > 1 && parse_int(pieces[1]).value_or(-1) >= first_valid_token_;
  if (header.starts_with("Bearer full.") && is_valid) return std::nullopt;
  if (header.starts_with("Bearer anonymous.") && is_valid && anonymous_may_pull && !writes) return std::nullopt;
  const auto parts = split(request.url.path, '/');
  FakeReply reply = error_reply(401, "UNAUTHORIZED", "authentication required");
  std::string field = "Bearer realm=\"" + token_realm + "\",service=\"registry.test\"";
  if (parts.size() > 4) {
    field += ",scope=\"repository:" + parts[2] + (parts.size() > 5 ? "/" + parts[3] : "") + ":pull" +
             (writes ? ",push" : "") + "\"";
  }
  if (!header.empty()) field += is_valid ? ",error=\"insufficient_scope\"" : ",error=\"invalid_token\"";
  reply.headers.add("WWW-Authenticate", field);
  return reply;
}

FakeReply FakeRegistry::serve(const FakeRequest& request) {
  std::string path(without_prefix(request.url.path, "/v2/"));
  if (path.empty()) return {200, {}, "{}"};
  for (const std::string kind : {"/manifests/", "/blobs/uploads/", "/blobs/", "/tags/list", "/referrers/"}) {
    const std::size_t at = path.find(kind);
    if (at == std::string::npos) continue;
    const std::string name = path.substr(0, at);
    const std::string rest = path.substr(at + kind.size());
    if (kind == "/manifests/") return manifest(request, name, rest);
    if (kind == "/blobs/uploads/") return upload(request, name);
    if (kind == "/blobs/") return blob(request, name, rest);
    if (kind == "/referrers/") return {404, {}, "404 page not found"};
    Json tags = Json::array();
    for (const auto& [tag, digest] : repositories[name].tags) tags.push_back(tag);
    return {200, {}, Json::object({{"name", Json(name)}, {"tags", std::move(tags)}}).dump()};
  }
  return error_reply(404, "UNSUPPORTED", "no such endpoint");
}

FakeReply FakeRegistry::manifest(const FakeRequest& request, const std::string& name, const std::string& reference) {
  if (request.method == "PUT") {
    put_manifest(name, reference, request.headers.find("Content-Type").value_or(""), request.body);
    return {201, {{"Docker-Content-Digest", Digest::of(request.body).str()}}, ""};
  }
  const auto repository = repositories.find(name);
  if (repository == repositories.end())
    return error_reply(404, "NAME_UNKNOWN", "repository name not known to registry");
  const auto tag = repository->second.tags.find(reference);
  const std::string digest = tag == repository->second.tags.end() ? reference : tag->second;
  const auto found = repository->second.manifests.find(digest);
  if (found == repository->second.manifests.end()) return error_reply(404, "MANIFEST_UNKNOWN", "manifest unknown");
  if (request.method == "DELETE") {
    repository->second.manifests.erase(found);
    return {202, {}, ""};
  }
  FakeReply reply{
      200, {{"Content-Type", found->second.media_type}, {"Docker-Content-Digest", digest}}, found->second.bytes};
  return reply;
}

FakeReply FakeRegistry::blob(const FakeRequest& request, const std::string& name, const std::string& digest) {
  const auto& blobs = repositories[name].blobs;
  const auto found = blobs.find(digest);
  if (found == blobs.end()) return error_reply(404, "BLOB_UNKNOWN", "blob unknown to registry");
  const std::string range = request.headers.find("Range").value_or("");
  if (range.empty()) return {200, {{"Docker-Content-Digest", digest}}, found->second};
  const auto start = parse_uint(without_suffix(without_prefix(range, "bytes="), "-")).value_or(0);
  if (start >= found->second.size()) return {416, {}, ""};
  const std::string field = "bytes " + std::to_string(start) + "-" + std::to_string(found->second.size() - 1) + "/" +
                            std::to_string(found->second.size());
  return {206, {{"Content-Range", field}}, found->second.substr(start)};
}

FakeReply FakeRegistry::upload(const FakeRequest& request, const std::string& name) {
  const std::string base = "/v2/" + name + "/blobs/uploads/";
  if (request.method == "POST") {
    const std::string digest = query_value(request.url, "mount");
    const std::string from = query_value(request.url, "from");
    if (mounts && !digest.empty() && repositories[from].blobs.count(digest) > 0) {
      repositories[name].blobs[digest] = repositories[from].blobs[digest];
      return {201, {{"Location", "/v2/" + name + "/blobs/" + digest}}, ""};
    }
    const std::string id = std::to_string(++uploads_started_);
    uploads_[base + id] = "";
    return {202, {{"Location", base + id + "?state=" + id}}, ""};
  }
  const auto session = uploads_.find(request.url.path);
  if (session == uploads_.end()) return error_reply(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry");
  session->second += request.body;
  if (request.method == "PATCH") return {202, {{"Location", request.url.path}}, ""};
  const std::string digest = query_value(request.url, "digest");
  if (Digest::of(session->second).str() != digest) {
    return error_reply(400, "DIGEST_INVALID", "provided digest did not match uploaded content");
  }
  repositories[name].blobs[digest] = session->second;
  uploads_.erase(session);
  return {201, {{"Docker-Content-Digest", digest}}, ""};
}

std::string FakeRegistry::put_blob(const std::string& repository, const std::string& bytes) {
  const std::string digest = Digest::of(bytes).str();
  repositories[repository].blobs[digest] = bytes;
  return digest;
}

std::string FakeRegistry::put_manifest(const std::string& repository, const std::string& reference,
                                       const std::string& media_type, const std::string& bytes) {
  const std::string digest = Digest::of(bytes).str();
  repositories[repository].manifests[digest] = {media_type, bytes};
  if (reference != digest) repositories[repository].tags[reference] = digest;
  return digest;
}

std::vector<std::string> FakeRegistry::log() const {
  const std::lock_guard guard(mutex_);
  std::vector<std::string> lines;
  for (const FakeRequest& request : requests_) {
    lines.push_back(request.method + " " + request.url.origin() + request.url.path);
  }
  return lines;
}

std::size_t FakeRegistry::count(const std::string& method, const std::string& part) const {
  const auto lines = log();
  return static_cast<std::size_t>(std::count_if(lines.begin(), lines.end(), [&](const std::string& line) {
    return line.starts_with(method + " ") && line.find(part) != std::string::npos;
  }));
}

void FakeRegistry::clear_log() {
  const std::lock_guard guard(mutex_);
  requests_.clear();
}

std::vector<FakeRequest> FakeRegistry::requests() const {
  const std::lock_guard guard(mutex_);
  return requests_;
}

SessionOptions fake_session(std::shared_ptr<FakeRegistry> registry, CredentialStore credentials) {
  SessionOptions options{.transport = std::move(registry), .credentials = std::move(credentials), .hosts = {}};
  options.retry.sleep = [](std::chrono::milliseconds) {};
  return options;
}

}  // namespace ctr
