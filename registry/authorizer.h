// Turns a 401 into an Authorization header: Basic, Bearer tokens with their scopes and expiry, refresh tokens,
// anonymous tokens. Knows one cache of tokens; secrets never appear in an error.
#pragma once

#include "registry/credentials.h"
#include "registry/host.h"
#include "registry/http.h"

#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace ctr {

class RegistrySession;

/// "repository:library/alpine:pull,push"
std::string repository_scope(std::string_view repository, std::string_view actions);

class Authorizer {
 public:
  explicit Authorizer(RegistrySession& session) : session_(session) {}

  /// The header value for a request with these scopes, if something is known already. Thread safe.
  std::optional<std::string> authorization(const Endpoint& endpoint, const std::set<std::string>& scopes);

  /// Learns from a 401 (or an expired token's 403). False: there is nothing else to try. Thread safe.
  bool answer_challenge(const Endpoint& endpoint, const HttpResponse& response, const std::set<std::string>& scopes,
                        std::string_view rejected);

  /// Uses these instead of stored ones (login).
  void use_credentials(std::string host, Credentials credentials);

 private:
  struct Token {
    std::string value;
    std::chrono::steady_clock::time_point expires;
  };
  struct HostState;

  RegistrySession& session_;
  std::mutex mutex_;
  std::map<std::string, Credentials, std::less<>> given_;
};

}  // namespace ctr
