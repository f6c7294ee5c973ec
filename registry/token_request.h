// One conversation with a token server: GET with Basic or nobody's name, or POST of a refresh token (OAuth2). Refuses
// realms that would carry a secret in the clear or lead to a local address.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "registry/authorizer.h"
#include "registry/credentials.h"
#include "registry/http.h"

namespace ctr {

struct TokenRequest {
  std::string realm;
  std::string service;
  Scopes scopes;
  std::optional<Credentials> credentials;
  bool wants_refresh_token = false;
  /// The endpoint that sent us to the realm.
  RegistryEndpoint endpoint;
};

struct TokenAnswer {
  std::string token;
  std::string refresh_token;
  std::chrono::seconds lifetime{60};
};

/// Throws Denied for a refused user, Invalid for a realm that is not allowed, Unavailable, Corrupt.
TokenAnswer request_token(RegistrySession& session, const TokenRequest& request);

}  // namespace ctr
