// Turns a 401 into an Authorization header: Basic, Bearer tokens with their scopes and expiry, refresh tokens,
// anonymous tokens, Amazon's. One cache of tokens a session; secrets never appear in an error.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "registry/auth_challenge.h"
#include "registry/credentials.h"
#include "registry/host.h"
#include "registry/http.h"

namespace ctr {

class RegistrySession;

using Scopes = std::set<std::string>;

/// "repository:library/alpine:pull,push"
std::string repository_scope(std::string_view repository, std::string_view actions);

/// For whom a request is made: credentials are kept by host and, podman's way, by namespace.
struct AuthorizationTarget {
  std::string host;  ///< as in the reference, "docker.io"
  std::string repository;
  Scopes scopes;
};

/// Thread safe: while one thread fetches a token, others wait and then use it.
class Authorizer {
 public:
  explicit Authorizer(RegistrySession& session) : session_(session) {}

  /// The header value for a request, if an earlier challenge told what is needed.
  std::optional<std::string> authorization(const RegistryEndpoint& endpoint, const AuthorizationTarget& target);

  /// Learns from a 401, or from Amazon's 403 for an expired token. `rejected` is the header that was sent with the
  /// request, or "". Returns the header to try next; none if there is nothing else to try.
  std::optional<std::string> answer_challenge(const RegistryEndpoint& endpoint, const AuthorizationTarget& target,
                                              const HttpResponse& response, std::string_view rejected);

  /// Uses these instead of stored ones (login). An identity token that the server hands out is kept in them.
  void use_credentials(std::string_view host, Credentials credentials);
  Credentials used_credentials(std::string_view host) const;

  /// Why credentials could not be found, or "": to be added to a denial.
  std::string problem() const;
  /// Whether any credentials were sent to the host.
  bool had_credentials(std::string_view host) const;

 private:
  using Clock = std::chrono::steady_clock;
  struct Token {
    std::string header;
    Clock::time_point expires;
  };
  // What a server asked for the last time.
  struct Challenge {
    bool is_bearer = false;
    std::string realm;
    std::string service;
  };

  std::optional<Credentials> find_credentials(const AuthorizationTarget& target);
  std::optional<Credentials> amazon_credentials(const std::string& host);
  void forget_credentials(const std::string& host);
  std::optional<std::string> header_for(const RegistryEndpoint& endpoint, const Challenge& challenge,
                                        const AuthorizationTarget& target);
  std::string fetch_token(const RegistryEndpoint& endpoint, const Challenge& challenge,
                          const AuthorizationTarget& target);
  void forget(std::string_view header);

  RegistrySession& session_;
  mutable std::mutex mutex_;
  std::map<std::string, Credentials, std::less<>> given_;
  std::map<std::string, std::optional<Credentials>, std::less<>> found_;
  std::map<std::string, Challenge, std::less<>> challenges_;  // by origin of the endpoint
  std::map<std::string, Token, std::less<>> tokens_;          // by realm, service, user and scopes
  std::set<std::string, std::less<>> rejected_;
  std::set<std::string, std::less<>> amazon_only_;  // hosts whose stored token was refused
  std::string problem_;
};

}  // namespace ctr
