// login and logout: registry/'s, with this machine's registries configuration.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "engine/context.h"
#include "registry/login.h"

namespace ctr {

/// A session with the registries as the configuration files describe them: mirrors, insecure ones, credentials.
std::unique_ptr<RegistrySession> open_registry_session(const Context& context);

/// Throws Denied when the registry refuses; nothing is stored then.
LoginResult log_in(Context& context, const LoginRequest& request);
/// Proves what is stored already; nothing when nothing is.
std::optional<LoginResult> log_in_with_stored(Context& context, const std::string& server);
LogoutResult log_out(Context& context, const std::string& server);

}  // namespace ctr
