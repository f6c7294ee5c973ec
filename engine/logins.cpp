#include "engine/logins.h"

#include "registry/session.h"

namespace ctr {

std::unique_ptr<RegistrySession> open_registry_session(const Context& context) {
  SessionOptions options;
  const auto append = [](std::vector<std::string>& list, const std::vector<std::string>& more) {
    list.insert(list.end(), more.begin(), more.end());
  };
  append(options.hosts.mirrors, context.configuration().registry_mirrors);
  append(options.hosts.insecure_registries, context.configuration().insecure_registries);
  return std::make_unique<RegistrySession>(std::move(options));
}

LoginResult log_in(Context& context, const LoginRequest& request) {
  return login(*open_registry_session(context), request);
}

std::optional<LoginResult> log_in_with_stored(Context& context, const std::string& server) {
  return login_with_stored(*open_registry_session(context), server);
}

LogoutResult log_out(Context&, const std::string& server) {
  CredentialStore credentials = CredentialStore::of_user();
  return logout(credentials, server);
}

}  // namespace ctr
