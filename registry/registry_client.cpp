#include "registry/registry_client.h"

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "image/manifest.h"
#include "image/media_types.h"
#include "image/reference.h"
#include "registry/ecr.h"
#include "registry/link_header.h"

namespace ctr {
namespace {

using Action = RegistryRequest::Action;

constexpr std::size_t kMostPages = 10'000;
constexpr std::size_t kMostNames = 1'000'000;
constexpr std::size_t kLargestPage = 16 * 1024 * 1024;

bool is_success(const RegistryAnswer& answer) {
  return answer.response.status >= 200 && answer.response.status < 300;
}

HttpHeaders accept_manifests() {
  return {
      {"Accept",
       join(std::vector<std::string>{std::string(media_type::kOciIndex), std::string(media_type::kOciManifest),
                                     std::string(media_type::kDockerIndex), std::string(media_type::kDockerManifest)},
            ", ")}};
}

// "application/json; charset=utf-8" without its parameters.
std::string media_type_of(const HttpResponse& response) {
  const std::string field = response.headers.find("Content-Type").value_or("");
  return std::string(trim(field.substr(0, field.find(';'))));
}

// What a manifest is when the server's Content-Type doesn't say it.
std::string media_type_of_manifest(const HttpResponse& response, const std::string& bytes) {
  const std::string served = media_type_of(response);
  if (is_index_type(served) || is_manifest_type(served)) return served;
  return std::visit([](const auto& document) { return document.media_type; }, parse_manifest_or_index(bytes, ""));
}

// Passes a body on, after telling where it starts.
class ReceiverSink : public HttpBodySink {
 public:
  ReceiverSink(BlobReceiver& receiver, std::uint64_t asked) : receiver_(receiver), asked_(asked) {}
  void begin(const HttpResponse& response) override {
    std::uint64_t offset = 0;
    if (response.status == 206) offset = content_range_start(response).value_or(asked_);
    if (offset != 0 && offset != asked_) {
      throw Error(ErrorKind::Corrupt, "the registry answered with another range than was asked for");
    }
    receiver_.begin(offset);
  }
  void write(Bytes data) override { receiver_.write(data); }

 private:
  static std::optional<std::uint64_t> content_range_start(const HttpResponse& response) {
    const std::string field = response.headers.find("Content-Range").value_or("");
    const std::string_view range = without_prefix(trim(field), "bytes ");
    return parse_uint(range.substr(0, range.find('-')));
  }

  BlobReceiver& receiver_;
  std::uint64_t asked_;
};

class StringReceiver : public BlobReceiver {
 public:
  explicit StringReceiver(std::size_t limit) : limit_(limit) {}
  void begin(std::uint64_t) override { text_.clear(); }
  void write(Bytes data) override {
    if (data.size() > limit_ - text_.size()) throw Error(ErrorKind::Corrupt, "a blob is larger than its descriptor");
    text_.append(as_chars(data));
  }
  std::string& text() noexcept { return text_; }

 private:
  std::size_t limit_;
  std::string text_;
};

bool asks_for_basic(const HttpResponse& response) {
  const std::vector<std::string> fields = response.headers.find_all("WWW-Authenticate");
  return std::any_of(fields.begin(), fields.end(),
                     [](const std::string& field) { return lower(field).starts_with("basic"); });
}

Url with_digest(Url location, const Digest& digest) {
  location.query = add_query(location.query, "digest", digest.str());
  return location;
}

}  // namespace

RegistryClient::RegistryClient(RegistrySession& session, std::string host, std::string repository, Access access)
    : session_(&session),
      host_(std::move(host)),
      repository_(std::move(repository)),
      familiar_name_(repository_.empty() ? host_ : Reference::from_parts(host_, repository_, "").familiar_name()),
      requester_(session, host_, repository_, access) {}

RegistryRequest RegistryClient::request(Action action, const std::string& reference) const {
  const bool by_digest = reference.find(':') != std::string::npos;
  return {action, host_, familiar_name_, familiar_name_ + (by_digest ? "@" : ":") + reference};
}

void RegistryClient::fail(Action action, const RegistryAnswer& answer, const std::string& reference) const {
  RegistryError error = registry_error(request(action, reference), answer.response, answer.body);
  const auto ecr = parse_ecr_host(host_);
  if (ecr && error.kind() == ErrorKind::NotFound && has_error_code(answer.body, "NAME_UNKNOWN")) {
    throw RegistryError(ErrorKind::NotFound, error.what() + ("; " + create_repository_hint(*ecr, repository_)),
                        error.status());
  }
  if (error.kind() != ErrorKind::Denied) throw error;
  std::string sentence = error.what();
  const bool lacks_any = answer.response.status == 401 && !session_->authorizer().had_credentials(host_);
  if (lacks_any && asks_for_basic(answer.response)) sentence = "no basic auth credentials";
  if (const std::string problem = session_->authorizer().problem(); !problem.empty()) sentence += " (" + problem + ")";
  throw RegistryError(ErrorKind::Denied, sentence, error.status());
}

RegistryAnswer RegistryClient::send(const RegistryCall& call) {
  RegistryAnswer answer = requester_.send(call);
  if (const auto limit = answer.response.headers.find("RateLimit-Limit")) {
    const std::lock_guard guard(rate_limit_mutex_);
    rate_limit_ = {printable(*limit, 100),
                   printable(answer.response.headers.find("RateLimit-Remaining").value_or(""), 100),
                   printable(answer.response.headers.find("Docker-RateLimit-Source").value_or(""), 100)};
  }
  return answer;
}

std::optional<RateLimit> RegistryClient::rate_limit() const {
  const std::lock_guard guard(rate_limit_mutex_);
  if (rate_limit_.limit.empty()) return std::nullopt;
  return rate_limit_;
}

void RegistryClient::ping() {
  const RegistryAnswer answer = send({.path = "/"});
  if (!is_success(answer)) fail(Action::Ping, answer);
}

std::optional<Descriptor> RegistryClient::head_manifest(const std::string& reference) {
  RegistryCall call{.method = "HEAD", .path = path("manifests/" + reference), .headers = accept_manifests()};
  const RegistryAnswer answer = send(call);
  if (answer.response.status == 404) return std::nullopt;
  // 403: the reason stands in the body, which HEAD does not have.
  const bool may_get = answer.response.status == 405 || answer.response.status == 403;
  if (!is_success(answer) && !may_get) fail(Action::Resolve, answer, reference);
  const auto digest = Digest::try_parse(answer.response.headers.find("Docker-Content-Digest").value_or(""));
  const auto size = parse_uint(answer.response.headers.find("Content-Length").value_or(""));
  const std::string type = media_type_of(answer.response);
  if (is_success(answer) && digest && size && (is_index_type(type) || is_manifest_type(type))) {
    return Descriptor{.media_type = type, .digest = *digest, .size = *size};
  }
  try {
    return get_manifest(reference).descriptor;
  } catch (const RegistryError& error) {
    if (error.kind() == ErrorKind::NotFound) return std::nullopt;
    throw;
  }
}

FetchedManifest RegistryClient::get_manifest(const std::string& reference) {
  RegistryCall call{.path = path("manifests/" + reference), .headers = accept_manifests()};
  call.answer_limit = kManifestLimit;
  const RegistryAnswer answer = send(call);
  if (!is_success(answer)) fail(Action::Resolve, answer, reference);
  const Digest digest = Digest::of(answer.body);
  const auto asked = Digest::try_parse(reference);
  const auto served = Digest::try_parse(answer.response.headers.find("Docker-Content-Digest").value_or(""));
  if (asked ? *asked != digest : served && *served != digest) {
    throw Error(ErrorKind::Corrupt, "manifest verification failed for digest " + (asked ? *asked : *served).str());
  }
  const std::string type = media_type_of_manifest(answer.response, answer.body);
  parse_manifest_or_index(answer.body, type);
  return {{.media_type = type, .digest = digest, .size = answer.body.size()}, answer.body};
}

PutManifestAnswer RegistryClient::put_manifest(const std::string& reference, std::string_view media_type,
                                               const std::string& bytes) {
  const Digest digest = Digest::of(bytes);
  RetryBudget budget(session_->retry());
  while (true) {
    StringBody body(bytes);
    RegistryCall call{.method = "PUT", .path = path("manifests/" + reference)};
    call.headers = {{"Content-Type", std::string(media_type)}};
    call.body = &body;
    const RegistryAnswer answer = send(call);
    if (!is_success(answer)) fail(Action::Push, answer, reference);
    const auto served = Digest::try_parse(answer.response.headers.find("Docker-Content-Digest").value_or(""));
    if (!served || *served == digest) return {digest, answer.response.headers.find("OCI-Subject")};
    // Under a tag a registry takes bytes that were altered on the way. Sent again, the tag is mended.
    const auto delay = budget.next();
    if (!delay) {
      throw Error(ErrorKind::Corrupt,
                  "the registry took the manifest as " + served->str() + ", but it is " + digest.str());
    }
    budget.wait(*delay);
  }
}

void RegistryClient::delete_manifest(const std::string& reference) {
  const RegistryAnswer answer = send({.method = "DELETE", .path = path("manifests/" + reference)});
  if (answer.response.status == 405) {
    throw RegistryError(ErrorKind::Invalid, "the registry " + host_ + " does not allow to delete (405)", 405);
  }
  if (!is_success(answer)) fail(Action::Delete, answer, reference);
}

bool RegistryClient::has_blob(const Digest& digest) {
  return is_success(send({.method = "HEAD", .path = path("blobs/" + digest.str())}));
}

void RegistryClient::get_blob(const Digest& digest, std::uint64_t offset, BlobReceiver& receiver) {
  ReceiverSink sink(receiver, offset);
  RegistryCall call{.path = path("blobs/" + digest.str()), .stream = &sink};
  if (offset > 0) call.headers.add("Range", "bytes=" + std::to_string(offset) + "-");
  const RegistryAnswer answer = send(call);
  if (!is_success(answer)) fail(Action::PullBlob, answer, digest.str());
}

std::string RegistryClient::read_blob(const Descriptor& descriptor, std::size_t limit) {
  if (descriptor.size > limit) {
    throw Error(ErrorKind::Invalid, "blob " + descriptor.digest.str() + " has " + std::to_string(descriptor.size) +
                                        " bytes, more than " + std::to_string(limit));
  }
  RetryBudget budget(session_->retry());
  while (true) {
    StringReceiver receiver(static_cast<std::size_t>(descriptor.size));
    std::string problem;
    try {
      get_blob(descriptor.digest, 0, receiver);
      if (Digest::of(receiver.text()) == descriptor.digest) return std::move(receiver.text());
      problem = "verification failed for digest " + descriptor.digest.str();
    } catch (const TransportError& error) {
      if (!is_retryable(error.failure())) throw;
      problem = error.what();
    }
    const auto delay = budget.next();
    if (!delay) throw Error(ErrorKind::Corrupt, problem);
    budget.wait(*delay);
  }
}

void RegistryClient::delete_blob(const Digest& digest) {
  const RegistryAnswer answer = send({.method = "DELETE", .path = path("blobs/" + digest.str())});
  if (!is_success(answer)) fail(Action::Delete, answer, digest.str());
}

UploadSession RegistryClient::session_of(const RegistryAnswer& answer) const {
  const auto location = answer.response.headers.find("Location");
  if (!location) throw Error(ErrorKind::Corrupt, "the registry " + host_ + " named no place to upload to");
  UploadSession session;
  session.location = follow_location(answer.url, *location, Downgrade::Refuse);
  session.chunk_minimum = parse_uint(answer.response.headers.find("OCI-Chunk-Min-Length").value_or("0")).value_or(0);
  return session;
}

std::optional<UploadSession> RegistryClient::mount_blob(const Digest& digest, const std::string& from_repository) {
  RegistryCall call{.method = "POST", .path = path("blobs/uploads/")};
  call.query = add_query(add_query("", "mount", digest.str()), "from", from_repository);
  call.more_scopes = {repository_scope(from_repository, "pull")};
  const RegistryAnswer answer = send(call);
  if (answer.response.status == 201) return std::nullopt;
  if (answer.response.status == 202) return session_of(answer);
  if (answer.response.status >= 500 || answer.response.status == 429) fail(Action::Push, answer);
  return start_upload();  // not allowed to read there, or no mounts at all
}

UploadSession RegistryClient::start_upload() {
  const RegistryAnswer answer = send({.method = "POST", .path = path("blobs/uploads/")});
  if (!is_success(answer)) fail(Action::Push, answer);
  return session_of(answer);
}

void RegistryClient::finish_upload(const UploadSession& session, const Digest& digest, HttpBodySource* body) {
  RegistryCall call{.method = "PUT", .url = with_digest(session.location, digest)};
  call.headers = {{"Content-Type", "application/octet-stream"}};
  call.body = body;
  call.repeat = Repeat::Never;
  const RegistryAnswer answer = send(call);
  if (!is_success(answer)) fail(Action::Push, answer);
  const auto served = Digest::try_parse(answer.response.headers.find("Docker-Content-Digest").value_or(""));
  if (served && *served != digest) {
    throw Error(ErrorKind::Corrupt, "the registry took the blob as " + served->str() + ", but it is " + digest.str());
  }
}

UploadSession RegistryClient::patch_upload(const UploadSession& session, HttpBodySource& body, std::uint64_t offset) {
  RegistryCall call{.method = "PATCH", .url = session.location};
  call.headers = {{"Content-Type", "application/octet-stream"},
                  {"Content-Range", std::to_string(offset) + "-" + std::to_string(offset + body.size() - 1)}};
  call.body = &body;
  call.repeat = Repeat::Never;
  const RegistryAnswer answer = send(call);
  if (!is_success(answer)) fail(Action::Push, answer);
  UploadSession next = answer.response.headers.find("Location") ? session_of(answer) : session;
  next.chunk_minimum = std::max(next.chunk_minimum, session.chunk_minimum);
  return next;
}

void RegistryClient::cancel_upload(const UploadSession& session) {
  send({.method = "DELETE", .url = session.location});  // whatever the answer: registries expire sessions anyway
}

std::vector<std::string> RegistryClient::list(const std::string& first_path, const std::string& member,
                                              const Scopes& scopes) {
  std::vector<std::string> names;
  RegistryCall call{.path = first_path};
  call.answer_limit = kLargestPage;
  call.more_scopes = scopes;
  for (std::size_t page = 0; page < kMostPages && names.size() < kMostNames; ++page) {
    const RegistryAnswer answer = send(call);
    if (!is_success(answer)) fail(Action::List, answer);
    for (std::string& name : Json::parse(answer.body, "the list of " + host_).strings(member)) {
      names.push_back(std::move(name));
    }
    const auto next = next_page(answer.response);
    if (!next) break;
    const Url url = follow_location(answer.url, *next, Downgrade::Refuse);
    if (url.origin() != answer.url.origin() || url == answer.url) break;
    call.url = url;
  }
  return names;
}

std::vector<std::string> RegistryClient::tags() {
  std::vector<std::string> tags = list(path("tags/list"), "tags", {});
  std::erase_if(tags, [](const std::string& tag) { return !is_valid_tag(tag); });
  return tags;
}

std::vector<std::string> RegistryClient::catalog() {
  return list("/_catalog", "repositories", {"registry:catalog:*"});
}

bool RegistryClient::has_referrers_api(const Digest& subject) {
  return is_success(send({.path = path("referrers/" + subject.str())}));
}

std::vector<Descriptor> RegistryClient::referrers(const Digest& subject, const std::string& artifact_type) {
  RegistryCall call{.path = path("referrers/" + subject.str())};
  if (!artifact_type.empty()) call.query = add_query("", "artifactType", artifact_type);
  call.answer_limit = kManifestLimit;
  std::vector<Descriptor> found;
  for (std::size_t page = 0; page < kMostPages && found.size() < kMostNames; ++page) {
    const RegistryAnswer answer = send(call);
    if (!is_success(answer) && answer.response.status != 404 && answer.response.status != 405 &&
        answer.response.status != 400) {
      fail(Action::List, answer);
    }
    const std::string type = media_type_of(answer.response);
    if (!is_success(answer) || (!type.empty() && type != media_type::kOciIndex)) {
      // No such API: the client of whoever pushed a referrer kept an index under this tag.
      const std::string tag = "sha256-" + subject.hex();
      if (!head_manifest(tag)) return {};
      found = parse_index(get_manifest(tag).bytes, media_type::kOciIndex).manifests;
      break;
    }
    for (Descriptor& descriptor : parse_index(answer.body, media_type::kOciIndex).manifests) {
      found.push_back(std::move(descriptor));
    }
    const auto next = next_page(answer.response);
    if (!next) break;
    const Url url = follow_location(answer.url, *next, Downgrade::Refuse);
    if (url.origin() != answer.url.origin() || url == answer.url) break;
    call.url = url;
  }
  if (!artifact_type.empty()) {
    std::erase_if(found, [&](const Descriptor& descriptor) { return descriptor.artifact_type != artifact_type; });
  }
  return found;
}

}  // namespace ctr
