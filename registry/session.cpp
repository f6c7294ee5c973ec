#include "registry/session.h"

#include "registry/authorizer.h"
#include "registry/registry_client.h"

namespace ctr {

RegistrySession::RegistrySession(SessionOptions options)
    : options_(std::move(options)), authorizer_(std::make_unique<Authorizer>(*this)) {
  for (auto& [name, value] : options_.credentials.http_headers()) user_headers_.add(name, value);
}

RegistrySession::~RegistrySession() = default;

RegistryClient RegistrySession::client(std::string_view host, std::string_view repository, Access access) {
  return RegistryClient(*this, std::string(host), std::string(repository), access);
}

HttpTransport& RegistrySession::transport() {
  const std::lock_guard guard(mutex_);
  if (!options_.transport) options_.transport = load_http_transport();
  return *options_.transport;
}

void RegistrySession::note_answer(const std::string& api_root) {
  const std::lock_guard guard(mutex_);
  answered_.insert(api_root);
}

void RegistrySession::note_failure(const std::string& api_root) {
  const std::lock_guard guard(mutex_);
  failed_.insert(api_root);
}

bool RegistrySession::has_answered(const std::string& api_root) const {
  const std::lock_guard guard(mutex_);
  return answered_.count(api_root) > 0;
}

bool RegistrySession::has_failed(const std::string& api_root) const {
  const std::lock_guard guard(mutex_);
  return failed_.count(api_root) > 0;
}

}  // namespace ctr
