// From the host in a reference to the endpoints to talk to, in the order to try them: Docker Hub's real name, mirrors,
// plain HTTP where it is allowed, authorities and client certificates. Sources: daemon.json, Docker's and containerd's
// certs.d. Does no I/O on the network.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "registry/http.h"

namespace ctr {

/// One place that answers for a host.
struct RegistryEndpoint {
  std::string api_root = {};  ///< "https://registry-1.docker.io/v2"
  std::string query = {};     ///< "ns=docker.io" for containerd's mirrors, or empty
  HttpHeaders headers = {};   ///< from hosts.toml
  TlsOptions tls = {};
  HttpTimeouts timeouts = {};
  bool can_pull = true;
  bool can_push = true;
  bool is_mirror = false;
  /// Plain HTTP for the endpoint before it in the list, to be tried only if TLS is not spoken there.
  bool is_plain_fallback = false;
};

class HostConfiguration {
 public:
  struct Files {
    std::vector<fs::path> daemon_json = {};   ///< /etc/docker/daemon.json
    std::vector<fs::path> docker_certs = {};  ///< /etc/docker/certs.d
    std::vector<fs::path> hosts_toml = {};    ///< /etc/containerd/certs.d
  };

  /// The usual places; a user's ~/.config/docker/{daemon.json,certs.d} besides.
  static HostConfiguration of_machine();
  HostConfiguration() = default;
  /// Throws Invalid if daemon.json can't be read as JSON.
  explicit HostConfiguration(Files files);

  /// Endpoints for "docker.io", "localhost:5000", ...: mirrors first, the host itself last. Throws Invalid if a
  /// hosts.toml is malformed.
  std::vector<RegistryEndpoint> endpoints(std::string_view host) const;

  /// What is trusted for a host ("quay.io", "localhost:5000") that no endpoint names, such as one we were redirected
  /// to.
  TlsOptions tls_options(std::string_view host) const;

  /// Listed under insecure-registries, or on the loopback interface.
  bool is_insecure(std::string_view host) const;

  std::vector<std::string> insecure_registries;  ///< hosts and CIDRs
  std::vector<std::string> mirrors;              ///< base URLs, for docker.io only
  HttpTimeouts timeouts;                         ///< of all endpoints

 private:
  std::vector<RegistryEndpoint> listed_endpoints(std::string_view host) const;
  RegistryEndpoint own_endpoint(std::string_view host) const;
  void add_with_fallback(std::vector<RegistryEndpoint>& endpoints, RegistryEndpoint endpoint,
                         std::string_view host) const;

  Files files_;
};

/// "registry-1.docker.io" for "docker.io"; every other host is itself.
std::string api_host(std::string_view host);

}  // namespace ctr
