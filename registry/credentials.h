// Credentials as Docker keeps them: $DOCKER_CONFIG/config.json (~/.docker) with auths, credHelpers and credsStore,
// and the docker-credential-* programs. Reads every key shape that Docker and podman wrote over the years; writes
// one entry under the host, atomically and with mode 0600, and leaves the rest of the file as it is.
#pragma once

#include "base/json.h"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ctr {

struct Credentials {
  std::string username;
  std::string password;
  std::string identity_token;  ///< an OAuth2 refresh token, instead of a password
  std::string registry_token;  ///< a bearer token to be sent as it is
  std::string source;          ///< where it was found, for messages: a file or a helper's name

  bool empty() const { return username.empty() && identity_token.empty() && registry_token.empty(); }
};

/// Where login put a credential.
struct StoredCredential {
  std::string where;            ///< the file, or the helper's program
  bool is_plain_text = false;   ///< Docker warns about this
};

class CredentialStore {
 public:
  /// $DOCKER_CONFIG/config.json or ~/.docker/config.json; reads besides it $REGISTRY_AUTH_FILE and
  /// $XDG_RUNTIME_DIR/containers/auth.json.
  static CredentialStore of_user();
  explicit CredentialStore(std::filesystem::path config_file, std::vector<std::filesystem::path> also_read = {});

  /// What is stored for a registry host ("docker.io", "localhost:5000", "quay.io") and, podman's way, for a
  /// namespace below it (longest prefix wins). A helper decides before the store, the store before auths.
  std::optional<Credentials> find(std::string_view host, std::string_view repository = {}) const;

  /// Replaces every entry of the host by one.
  StoredCredential store(std::string_view host, const Credentials& credentials);

  /// False if nothing was stored.
  bool erase(std::string_view host);

  /// HttpHeaders of config.json: sent with every request to a registry.
  std::vector<std::pair<std::string, std::string>> http_headers() const;

  const std::filesystem::path& config_file() const noexcept { return config_file_; }

 private:
  std::filesystem::path config_file_;
  std::vector<std::filesystem::path> also_read_;
};

/// "docker.io" is "https://index.docker.io/v1/" in config.json, all others are their host.
std::string credential_key(std::string_view host);
/// The host that a key of config.json means: scheme and path removed, Hub's names folded to "docker.io".
std::string credential_host(std::string_view key);

}  // namespace ctr
