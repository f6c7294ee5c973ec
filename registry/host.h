// From the host in a reference to the endpoints to talk to, in the order to try them: Docker Hub's real name,
// mirrors, plain HTTP where it is allowed, authorities and client certificates. Sources: daemon.json, Docker's and
// containerd's certs.d. Does no I/O on the network.
#pragma once

#include "registry/http.h"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace ctr {

/// One place that answers for a host.
struct Endpoint {
  std::string base;           ///< "https://registry-1.docker.io", maybe with a path prefix; no "/v2"
  std::string host;           ///< host and port of base, the key for credentials and tokens
  std::string query;          ///< "ns=docker.io" for containerd's mirrors, or empty
  HttpHeaders headers;        ///< from hosts.toml
  TlsOptions tls;
  HttpTimeouts timeouts;
  bool can_pull = true;
  bool can_push = true;
  bool is_mirror = false;
  bool may_fall_back_to_http = false;  ///< if TLS is not spoken there
};

class HostConfiguration {
 public:
  struct Files {
    std::filesystem::path daemon_json;                ///< /etc/docker/daemon.json
    std::vector<std::filesystem::path> docker_certs;  ///< /etc/docker/certs.d, /etc/ctr/certs.d
    std::vector<std::filesystem::path> hosts_toml;    ///< /etc/containerd/certs.d
  };

  /// The usual places; a rootless user's ~/.config/docker/{daemon.json,certs.d} besides.
  static HostConfiguration of_machine();
  explicit HostConfiguration(const Files& files);
  HostConfiguration() = default;

  /// Endpoints for "docker.io", "localhost:5000", ...: mirrors first (never for a push), the host itself last.
  std::vector<Endpoint> endpoints(std::string_view host) const;
  bool is_insecure(std::string_view host) const;

  std::vector<std::string> insecure_registries;  ///< hosts and CIDRs
  std::vector<std::string> mirrors;              ///< base URLs, for docker.io only

 private:
  Files files_;
};

}  // namespace ctr
