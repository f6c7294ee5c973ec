#include "registry/login.h"

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "base/time.h"
#include "registry/authorizer.h"
#include "registry/ecr.h"
#include "registry/registry_client.h"
#include "registry/session.h"
#include "registry/url.h"

namespace ctr {
namespace {

// Asks /v2/ with the credentials that the authorizer has for the host.
void verify(RegistrySession& session, const std::string& host) {
  RegistryClient client = session.client(host, "");
  try {
    client.ping();
  } catch (const RegistryError& error) {
    if (error.kind() != ErrorKind::Denied) throw;
    const std::string status = error.status() == 403 ? "403 Forbidden" : "401 Unauthorized";
    throw Error(ErrorKind::Denied, "login attempt to https://" + api_host(host) + "/v2/ failed with status: " + status);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Denied) throw;
    throw Error(ErrorKind::Denied, "Get \"https://" + api_host(host) + "/v2/\": " + error.what());
  }
}

std::string plain_text_warning(const StoredCredential& stored) {
  if (!stored.is_plain_text) return {};
  return "WARNING! Your credentials are stored unencrypted in '" + stored.where +
         "'.\nConfigure a credential helper to remove this warning. See\n"
         "https://docs.docker.com/go/credential-store/";
}

}  // namespace

std::string login_host(std::string_view server) {
  std::string_view rest = trim(server);
  if (rest.empty()) return "docker.io";
  for (const std::string_view scheme : {"https://", "http://"}) rest = without_prefix(rest, scheme);
  const std::string host = parse_credential_key("https://" + std::string(rest)).host;
  Url url;
  try {
    url = Url::parse("https://" + host);
  } catch (const Error&) {
    throw Error(ErrorKind::Invalid, "invalid registry address " + json_quote(printable(server, 100)));
  }
  if (url.path != "/" || !url.query.empty()) {
    throw Error(ErrorKind::Invalid, "invalid registry address " + json_quote(printable(server, 100)));
  }
  return host;
}

std::string login_display_name(std::string_view host) {
  return credential_key(host);
}

LoginResult login(RegistrySession& session, const LoginRequest& request) {
  if (request.username.empty()) throw Error(ErrorKind::Invalid, "username is empty");
  if (request.password.empty()) throw Error(ErrorKind::Invalid, "password is empty");
  const std::string host = login_host(request.server);
  session.authorizer().use_credentials(host, {.username = request.username, .password = request.password});
  verify(session, host);
  LoginResult result{host, session.credentials().store(host, session.authorizer().used_credentials(host)), {}};
  result.warning = plain_text_warning(result.stored);
  return result;
}

std::optional<LoginResult> login_with_stored(RegistrySession& session, std::string_view server) {
  const std::string host = login_host(server);
  const auto ecr = parse_ecr_host(host);
  if (!session.credentials().find(host).credentials) {
    if (!ecr) return std::nullopt;
    const EcrToken token = fetch_ecr_token(session, *ecr);
    session.authorizer().use_credentials(host, token.credentials);
    verify(session, host);
    return LoginResult{host,
                       {},
                       "The AWS credentials of " + token.source + " are used. The token is good until " +
                           format_time_seconds(token.expires) + "; it is made when needed, never stored."};
  }
  try {
    verify(session, host);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::Denied) return std::nullopt;
    throw;
  }
  return LoginResult{host, {session.credentials().config_file().native(), false}, {}};
}

LogoutResult logout(const CredentialStore& store, std::string_view server) {
  return store.erase(login_host(server)) ? LogoutResult::Removed : LogoutResult::NotLoggedIn;
}

}  // namespace ctr
