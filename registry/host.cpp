#include "registry/host.h"

#include <cstdlib>
#include <unistd.h>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "base/user_namespace.h"
#include "registry/hosts_toml.h"
#include "registry/proxy.h"
#include "registry/url.h"

namespace ctr {
namespace {

constexpr std::uint64_t kLargestFile = 1 * kMiB;

std::string without_port(std::string_view host) {
  const Url url = Url::parse("https://" + std::string(host));
  return url.host;
}

// Docker's certs.d: *.crt are authorities, x.cert and x.key a client's pair.
void add_docker_certificates(TlsOptions& tls, const fs::path& directory) {
  for (const std::string& name : list_directory(directory)) {
    const fs::path path = directory / name;
    if (path.extension() == ".crt") tls.authorities.push_back(path.native());
    if (path.extension() != ".cert") continue;
    fs::path key = path;
    key.replace_extension(".key");
    if (!path_exists(key)) {
      throw Error(ErrorKind::Invalid, "missing key " + key.native() + " for client certificate " + path.native());
    }
    tls.client_certificate = path.native();
    tls.client_key = key.native();
  }
}

// "localhost:5000" may also be called "localhost_5000_" (for file systems without ":"), or "localhost".
std::vector<std::string> toml_directories(std::string_view host) {
  std::vector<std::string> names{std::string(host)};
  if (const auto parts = cut(host, ':')) {
    names.push_back(parts->first + "_" + parts->second + "_");
    names.push_back(parts->first);
  }
  names.emplace_back("_default");
  return names;
}

RegistryEndpoint endpoint_of(const TomlHost& host, const TlsOptions& docker_tls, const HttpTimeouts& timeouts) {
  RegistryEndpoint endpoint;
  std::string url = host.url.find("://") == std::string::npos ? "https://" + host.url : host.url;
  while (url.ends_with('/')) url.pop_back();
  Url::parse(url);  // for its sentence
  endpoint.api_root = host.override_path || url.ends_with("/v2") ? url : url + "/v2";
  for (const auto& [name, value] : host.headers) endpoint.headers.add(name, value);
  endpoint.tls = docker_tls;
  endpoint.tls.authorities.insert(endpoint.tls.authorities.end(), host.authorities.begin(), host.authorities.end());
  if (!host.client_certificate.empty()) {
    endpoint.tls.client_certificate = host.client_certificate;
    endpoint.tls.client_key = host.client_key;
  }
  if (host.skip_verify) endpoint.tls.verification = TlsVerification::Skip;
  endpoint.timeouts = timeouts;
  if (host.dial_timeout.count() > 0) endpoint.timeouts.connect = host.dial_timeout;
  endpoint.can_pull = host.can_pull;
  endpoint.can_push = host.can_push;
  return endpoint;
}

}  // namespace

std::string api_host(std::string_view host) {
  return host == "docker.io" || host == "index.docker.io" ? "registry-1.docker.io" : std::string(host);
}

HostConfiguration HostConfiguration::of_machine() {
  Files files;
  files.daemon_json = {"/etc/docker/daemon.json"};
  files.docker_certs = {"/etc/docker/certs.d"};
  files.hosts_toml = {"/etc/containerd/certs.d", "/etc/docker/certs.d"};
  const char* home = std::getenv("HOME");
  if (home != nullptr && invoking_user() != 0) {
    const char* config = std::getenv("XDG_CONFIG_HOME");
    const fs::path base = config != nullptr && *config != '\0' ? fs::path(config) : fs::path(home) / ".config";
    files.daemon_json.push_back(base / "docker/daemon.json");
    files.docker_certs.push_back(base / "docker/certs.d");
  }
  return HostConfiguration(std::move(files));
}

HostConfiguration::HostConfiguration(Files files) : files_(std::move(files)) {
  for (const fs::path& path : files_.daemon_json) {
    const auto text = find_file(path, kLargestFile);
    if (!text || trim(*text).empty()) continue;
    const Json json = Json::parse(*text, path.native());
    for (const std::string& name : json.strings("insecure-registries")) {
      insecure_registries.emplace_back(
          without_suffix(without_prefix(without_prefix(name, "http://"), "https://"), "/"));
    }
    for (const std::string& url : json.strings("registry-mirrors")) mirrors.push_back(url);
  }
}

bool HostConfiguration::is_insecure(std::string_view host) const {
  const std::string name = without_port(host);
  if (is_loopback_host(name)) return true;
  for (const std::string& listed : insecure_registries) {
    if (listed == host || is_in_network(name, listed)) return true;
  }
  return false;
}

TlsOptions HostConfiguration::tls_options(std::string_view host) const {
  TlsOptions tls;
  for (const fs::path& directory : files_.docker_certs) {
    add_docker_certificates(tls, directory / host);
    if (const std::string real = api_host(host); real != host) add_docker_certificates(tls, directory / real);
  }
  // An authority named for the host is meant to be used, on the loopback interface too.
  if (is_insecure(host) && tls.authorities.empty()) tls.verification = TlsVerification::Skip;
  return tls;
}

RegistryEndpoint HostConfiguration::own_endpoint(std::string_view host) const {
  RegistryEndpoint endpoint;
  endpoint.api_root = "https://" + api_host(host) + "/v2";
  endpoint.tls = tls_options(host);
  endpoint.timeouts = timeouts;
  return endpoint;
}

void HostConfiguration::add_with_fallback(std::vector<RegistryEndpoint>& endpoints, RegistryEndpoint endpoint,
                                          std::string_view host) const {
  const bool may_be_plain = is_insecure(host) && endpoint.tls.authorities.empty();
  const bool is_tls = endpoint.api_root.starts_with("https://");
  endpoints.push_back(endpoint);
  if (!may_be_plain || !is_tls) return;
  endpoint.api_root = "http://" + std::string(without_prefix(endpoint.api_root, "https://"));
  endpoint.is_plain_fallback = true;
  endpoints.push_back(std::move(endpoint));
}

std::vector<RegistryEndpoint> HostConfiguration::listed_endpoints(std::string_view host) const {
  for (const fs::path& root : files_.hosts_toml) {
    for (const std::string& name : toml_directories(host)) {
      const fs::path file = root / name / "hosts.toml";
      const auto text = find_file(file, kLargestFile);
      if (!text) continue;
      const HostsToml listed = parse_hosts_toml(*text, file);
      std::vector<RegistryEndpoint> endpoints;
      for (const TomlHost& entry : listed.hosts) {
        RegistryEndpoint endpoint = endpoint_of(entry, {}, timeouts);
        endpoint.is_mirror = true;
        if (Url::parse(endpoint.api_root).authority() != host) endpoint.query = add_query("", "ns", host);
        endpoints.push_back(std::move(endpoint));
      }
      if (listed.server) {
        endpoints.push_back(endpoint_of(*listed.server, tls_options(host), timeouts));
      } else {
        add_with_fallback(endpoints, own_endpoint(host), host);
      }
      return endpoints;
    }
  }
  return {};
}

std::vector<RegistryEndpoint> HostConfiguration::endpoints(std::string_view host) const {
  std::vector<RegistryEndpoint> endpoints = listed_endpoints(host);
  if (!endpoints.empty()) return endpoints;
  if (host == "docker.io") {
    for (const std::string& mirror : mirrors) {
      TomlHost entry;
      entry.url = mirror;
      const Url url = Url::parse(mirror.find("://") == std::string::npos ? "https://" + mirror : mirror);
      RegistryEndpoint endpoint = endpoint_of(entry, tls_options(url.authority()), timeouts);
      endpoint.can_push = false;
      endpoint.is_mirror = true;
      endpoints.push_back(std::move(endpoint));
    }
  }
  add_with_fallback(endpoints, own_endpoint(host), host);
  return endpoints;
}

}  // namespace ctr
