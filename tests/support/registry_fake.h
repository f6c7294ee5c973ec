// A registry in memory behind the transport interface: serves distribution-spec for every host that it is asked for,
// with Basic or Bearer authentication, and writes down each request. Tests bend single answers with `intercept`.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "image/digest.h"
#include "registry/http.h"
#include "registry/session.h"
#include "registry/url.h"

namespace ctr {

struct FakeReply {
  int status = 200;
  HttpHeaders headers = {};
  std::string body = {};
  std::optional<std::size_t> break_after = {};  ///< the connection breaks after so many bytes of the body
};

struct FakeRequest {
  std::string method;
  Url url;
  HttpHeaders headers;
  std::string body;
  AddressPolicy addresses = AddressPolicy::Any;
};

class FakeRegistry : public HttpTransport {
 public:
  enum class Auth { None, Basic, Bearer };

  Auth auth = Auth::None;
  std::string username = "user";
  std::string password = "secret";
  bool anonymous_may_pull = true;
  bool mounts = true;
  std::string token_realm = "https://auth.test/token";
  /// Answers in place of the registry; called with every request, token requests included.
  std::function<std::optional<FakeReply>(const FakeRequest&)> intercept;

  HttpResponse perform(const HttpRequest& request, HttpBodySink& sink) override;

  /// The answer to one request, for servers that carry it over real connections.
  FakeReply respond(const FakeRequest& request);
  /// Every token that was given out is worth nothing from now on.
  void expire_tokens();

  std::string put_blob(const std::string& repository, const std::string& bytes);
  std::string put_manifest(const std::string& repository, const std::string& reference, const std::string& media_type,
                           const std::string& bytes);

  struct StoredManifest {
    std::string media_type;
    std::string bytes;
  };
  struct Repository {
    std::map<std::string, std::string> blobs;         // by digest
    std::map<std::string, StoredManifest> manifests;  // by digest
    std::map<std::string, std::string> tags;          // to digests
  };
  std::map<std::string, Repository> repositories;

  /// "GET https://host/v2/..." without query, in order.
  std::vector<std::string> log() const;
  std::size_t count(const std::string& method, const std::string& part) const;
  void clear_log();
  std::vector<FakeRequest> requests() const;
  int tokens_given() const { return tokens_; }

 private:
  FakeReply answer(const FakeRequest& request);
  FakeReply give_token(const FakeRequest& request);
  std::optional<FakeReply> challenge(const FakeRequest& request) const;
  FakeReply serve(const FakeRequest& request);
  FakeReply manifest(const FakeRequest& request, const std::string& name, const std::string& reference);
  FakeReply blob(const FakeRequest& request, const std::string& name, const std::string& digest);
  FakeReply upload(const FakeRequest& request, const std::string& name);

  mutable std::mutex mutex_;
  std::vector<FakeRequest> requests_;
  std::map<std::string, std::string> uploads_;
  int tokens_ = 0;
  int first_valid_token_ = 0;
  int uploads_started_ = 0;
};

/// A session that talks to the fake, with no configuration of this machine and without waiting between tries.
SessionOptions fake_session(std::shared_ptr<FakeRegistry> registry, CredentialStore credentials);
std::string query_value(const Url& url, const std::string& key);

}  // namespace ctr
