// Credentials as Docker keeps them: $DOCKER_CONFIG/config.json (~/.docker) with auths, credHelpers and credsStore,
// and the docker-credential-* programs. Reads every key shape that Docker, podman and Kubernetes wrote over the years;
// writes one entry under the host, atomically and with mode 0600, and leaves the rest of the file as it is.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/json.h"

namespace ctr {

struct Credentials {
  std::string username = {};
  std::string password = {};
  std::string identity_token = {};  ///< an OAuth2 refresh token, instead of a password
  std::string registry_token = {};  ///< a bearer token to be sent as it is

  bool empty() const { return username.empty() && identity_token.empty() && registry_token.empty(); }
};

struct FoundCredentials {
  std::optional<Credentials> credentials = {};
  /// Why a store could not be asked, or why an entry was passed over: to be told only if the registry refuses.
  std::string problem = {};
};

/// Where login put a credential.
struct StoredCredential {
  std::string where;           ///< the file, or the helper's program
  bool is_plain_text = false;  ///< Docker warns about this
};

class CredentialStore {
 public:
  /// $DOCKER_CONFIG/config.json (or .dockerconfigjson there) or ~/.docker/config.json; reads besides it
  /// $DOCKER_AUTH_CONFIG, $REGISTRY_AUTH_FILE and $XDG_RUNTIME_DIR/containers/auth.json.
  static CredentialStore of_user();
  explicit CredentialStore(fs::path config_file, std::vector<fs::path> also_read = {});

  /// What is stored for a registry host ("docker.io", "localhost:5000", "quay.io") and, podman's way, for a namespace
  /// below it (the longest prefix wins). A helper decides before the store, the store before auths.
  FoundCredentials find(std::string_view host, std::string_view repository = {}) const;

  /// Replaces every entry of the host by one.
  StoredCredential store(std::string_view host, const Credentials& credentials) const;

  /// False if nothing was stored.
  bool erase(std::string_view host) const;

  /// HttpHeaders of config.json: sent with every request to a registry.
  std::vector<std::pair<std::string, std::string>> http_headers() const;

  const fs::path& config_file() const noexcept { return config_file_; }

 private:
  Json read_config() const;
  void write_config(const Json& config) const;
  FoundCredentials find_in_helpers(const Json& config, std::string_view host) const;

  fs::path config_file_;
  std::vector<fs::path> also_read_;
  std::string environment_json_;
};

/// "docker.io" is "https://index.docker.io/v1/" in config.json, all others are their host.
std::string credential_key(std::string_view host);

/// What a key of config.json means.
struct CredentialKey {
  std::string host;        ///< Docker Hub's names folded to "docker.io"
  std::string namespace_;  ///< podman's "host/namespace", or empty
};
CredentialKey parse_credential_key(std::string_view key);

/// Reads one entry of auths: auth, username and password, identitytoken, registrytoken. Nothing if it holds none.
std::optional<Credentials> credentials_from_json(const Json& entry);

/// True for the 12-hour password of an ECR token that is past its time; such an entry must not shadow a fresh one.
bool is_expired_ecr_token(const Credentials& credentials);

}  // namespace ctr
