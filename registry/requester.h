// How one request gets its answer: endpoints in order (mirrors, the host, plain HTTP), authorization, redirects,
// retries. Credentials and a user's headers go to the endpoint alone; a redirect to another host, a Location, a Link
// are checked before they are followed. What the answer means is registry_client's business.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "registry/authorizer.h"
#include "registry/host.h"
#include "registry/http.h"
#include "registry/retry.h"
#include "registry/session.h"
#include "registry/url.h"

namespace ctr {

/// Whether a request may be sent again after its connection broke.
enum class Repeat { Safe, Never };

struct RegistryCall {
  std::string method = "GET";
  std::string path = {};  ///< below /v2: "/library/alpine/tags/list"
  std::string query = {};
  std::optional<Url> url = {};  ///< instead of path: a checked Location or Link
  HttpHeaders headers = {};
  HttpBodySource* body = nullptr;
  Repeat repeat = Repeat::Safe;
  /// Gets the body of a 2xx answer; other bodies are kept in the answer.
  HttpBodySink* stream = nullptr;
  std::size_t answer_limit = 1024 * 1024;
  Scopes more_scopes = {};
};

struct RegistryAnswer {
  HttpResponse response = {};
  std::string body = {};
  Url url = {};  ///< that was asked at last
  RegistryEndpoint endpoint = {};
};

/// Called before a retry, with the reason and the time to wait.
using RetryListener = std::function<void(const std::string& reason, std::chrono::milliseconds delay)>;

class Requester {
 public:
  Requester(RegistrySession& session, std::string host, std::string repository, Access access);

  /// Any status is an answer. Throws TransportError, or what the stream or body threw.
  RegistryAnswer send(const RegistryCall& call);

  void set_retry_listener(RetryListener listener) { retry_listener_ = std::move(listener); }

 private:
  RegistryAnswer send_to(const RegistryEndpoint& endpoint, const RegistryCall& call);
  RegistryAnswer send_once(const RegistryEndpoint& endpoint, const RegistryCall& call,
                           const std::optional<std::string>& authorization);
  std::vector<RegistryEndpoint> usable_endpoints(const RegistryCall& call) const;
  bool wait_before_retry(RetryBudget& budget, const RegistryCall& call, const std::string& reason,
                         std::optional<std::chrono::seconds> retry_after = {});

  RegistrySession& session_;
  std::string host_;
  std::string repository_;
  Access access_;
  std::vector<RegistryEndpoint> endpoints_;
  RetryListener retry_listener_;
};

/// Whether a URL that a server chose (redirect, Location, Link) is acceptable, and the URL to use: plain HTTP for the
/// same host becomes HTTPS (proxies that end TLS cause this), any other step down to HTTP is refused unless
/// `downgrade` allows it, and so is a local address chosen by a remote server. Throws TransportError of kind Refused.
enum class Downgrade { Refuse, Allow };
Url follow_location(const Url& current, std::string_view location, Downgrade downgrade);

}  // namespace ctr
