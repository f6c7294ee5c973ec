// What one command shares over all registries that it talks to: transport, credentials, host configuration, tokens, and
// which endpoints answered. Make one a command and hand it to pull, push, login, copy.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "registry/credentials.h"
#include "registry/host.h"
#include "registry/http.h"
#include "registry/retry.h"

namespace ctr {

class Authorizer;
class RegistryClient;

/// What the requests of a client may come to need: tokens are asked for that once, not a request.
enum class Access { Pull, Push, Delete };

struct SessionOptions {
  std::shared_ptr<HttpTransport> transport = {};  ///< null: ctr-http.so, loaded by the first request
  CredentialStore credentials = CredentialStore::of_user();
  HostConfiguration hosts = HostConfiguration::of_machine();
  RetryPolicy retry = {};
};

/// Thread safe.
class RegistrySession {
 public:
  explicit RegistrySession(SessionOptions options = {});
  ~RegistrySession();
  RegistrySession(const RegistrySession&) = delete;
  RegistrySession& operator=(const RegistrySession&) = delete;

  /// A client for one repository ("library/alpine") on the host that a reference names ("docker.io").
  RegistryClient client(std::string_view host, std::string_view repository, Access access = Access::Pull);

  /// The transport; loads it if need be.
  HttpTransport& transport();
  Authorizer& authorizer() noexcept { return *authorizer_; }
  const CredentialStore& credentials() const noexcept { return options_.credentials; }
  const HostConfiguration& hosts() const noexcept { return options_.hosts; }
  const RetryPolicy& retry() const noexcept { return options_.retry; }
  /// HttpHeaders of config.json.
  const HttpHeaders& user_headers() const noexcept { return user_headers_; }

  /// An endpoint that failed is not asked again by this command; one that answered is worth waiting for.
  void note_answer(const std::string& api_root);
  void note_failure(const std::string& api_root);
  bool has_answered(const std::string& api_root) const;
  bool has_failed(const std::string& api_root) const;

 private:
  SessionOptions options_;
  HttpHeaders user_headers_;
  mutable std::mutex mutex_;
  std::set<std::string> answered_;
  std::set<std::string> failed_;
  std::unique_ptr<Authorizer> authorizer_;
};

}  // namespace ctr
