// What one command shares over all registries that it talks to: transport, credentials, host configuration,
// tokens. Make one a command and hand it to pull, push, login, copy.
#pragma once

#include "registry/credentials.h"
#include "registry/host.h"
#include "registry/http.h"
#include "registry/retry.h"

#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace ctr {

class Authorizer;
class RegistryClient;

struct SessionOptions {
  std::shared_ptr<HttpTransport> transport;  ///< null: ctr-http.so, loaded by the first request
  CredentialStore credentials = CredentialStore::of_user();
  HostConfiguration hosts = HostConfiguration::of_machine();
  RetryPolicy retry;
};

class RegistrySession {
 public:
  explicit RegistrySession(SessionOptions options = {});
  ~RegistrySession();
  RegistrySession(const RegistrySession&) = delete;
  RegistrySession& operator=(const RegistrySession&) = delete;

  /// A client for one repository ("library/alpine") on the host that a reference names ("docker.io").
  RegistryClient client(std::string_view host, std::string_view repository);

  /// The transport; loads it if need be.
  HttpTransport& transport();
  Authorizer& authorizer() noexcept { return *authorizer_; }
  CredentialStore& credentials() noexcept { return options_.credentials; }
  const HostConfiguration& hosts() const noexcept { return options_.hosts; }
  const RetryPolicy& retry() const noexcept { return options_.retry; }

 private:
  SessionOptions options_;
  std::mutex transport_mutex_;
  std::unique_ptr<Authorizer> authorizer_;
};

}  // namespace ctr
