// login and logout without the questions: takes a server as people write it (host, URL, repository path), proves the
// credentials against the registry, and keeps one entry under the host. Asks nothing and prints nothing.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "registry/credentials.h"

namespace ctr {

class RegistrySession;

/// "", "docker.io", "https://index.docker.io/v1/" are "docker.io"; "HOST/app", "https://HOST/v2/" are "HOST". Throws
/// Invalid.
std::string login_host(std::string_view server);

/// How Docker writes the host in a prompt or an answer: "https://index.docker.io/v1/" for Docker Hub.
std::string login_display_name(std::string_view host);

struct LoginRequest {
  std::string server;
  std::string username;
  std::string password;
};

struct LoginResult {
  std::string host;
  StoredCredential stored;
  std::string warning;  ///< Docker's words about a password in plain text, what was used at Amazon's, or empty
};

/// Throws Denied with Docker's words if the registry refuses, Unavailable if it can't be reached. Nothing is stored
/// unless the registry accepted.
LoginResult login(RegistrySession& session, const LoginRequest& request);

/// Checks what is stored already, as `docker login` without a user name does. Nothing if nothing is stored or if it is
/// no longer good; then ask for a user name. For Amazon's registry AWS keys will do, and nothing is stored: throws
/// Denied if there are none.
std::optional<LoginResult> login_with_stored(RegistrySession& session, std::string_view server);

enum class LogoutResult { Removed, NotLoggedIn };
LogoutResult logout(const CredentialStore& store, std::string_view server);

}  // namespace ctr
