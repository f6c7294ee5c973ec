#include "registry/token_request.h"

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "registry/base64.h"
#include "registry/exchange.h"
#include "registry/registry_error.h"
#include "registry/session.h"
#include "registry/url.h"

namespace ctr {
namespace {

constexpr std::string_view kClientId = "ctr";

Url checked_realm(const TokenRequest& request) {
  const Url origin = Url::parse(request.endpoint.api_root);
  const Url realm = Url::parse(request.realm);
  if (origin.scheme == "https" && realm.scheme != "https") {
    throw Error(ErrorKind::Denied, "the registry " + origin.authority() + " asks for credentials over plain HTTP (" +
                                       realm.origin() + "): refused");
  }
  if (is_loopback_host(realm.host) && !is_loopback_host(origin.host)) {
    throw Error(ErrorKind::Denied, "the registry " + origin.authority() + " asks for credentials at " +
                                       realm.authority() + ", a local address: refused");
  }
  return realm;
}

std::string joined(const Scopes& scopes) {
  return join(std::vector<std::string>(scopes.begin(), scopes.end()), " ");
}

HttpRequest base_request(RegistrySession& session, const TokenRequest& request, const Url& realm) {
  const Url origin = Url::parse(request.endpoint.api_root);
  HttpRequest http;
  http.timeouts = request.endpoint.timeouts;
  http.addresses = is_loopback_host(origin.host) ? AddressPolicy::Any : AddressPolicy::RefuseLocal;
  // Who signs for a registry may sign for its token server; a client's certificate is for the registry alone.
  http.tls = session.hosts().tls_options(realm.authority());
  for (const std::string& authority : request.endpoint.tls.authorities) http.tls.authorities.push_back(authority);
  return http;
}

HttpRequest get_request(RegistrySession& session, const TokenRequest& request, const Url& realm) {
  HttpRequest http = base_request(session, request, realm);
  Url url = realm;
  if (!request.service.empty()) url.query = add_query(url.query, "service", request.service);
  for (const std::string& scope : request.scopes) url.query = add_query(url.query, "scope", scope);
  if (request.credentials) {
    url.query = add_query(url.query, "account", request.credentials->username);
    http.headers.add("Authorization",
                     "Basic " + base64_encode(request.credentials->username + ":" + request.credentials->password));
  }
  if (request.wants_refresh_token) {
    url.query = add_query(url.query, "offline_token", "true");
    url.query = add_query(url.query, "client_id", kClientId);
  }
  http.url = url.str();
  return http;
}

std::string refresh_form(const TokenRequest& request) {
  std::string form = add_query("", "grant_type", "refresh_token");
  form = add_query(form, "service", request.service);
  form = add_query(form, "client_id", kClientId);
  form = add_query(form, "refresh_token", request.credentials->identity_token);
  if (!request.scopes.empty()) form = add_query(form, "scope", joined(request.scopes));
  return form;
}

HttpAnswer ask(RegistrySession& session, const TokenRequest& request, const Url& realm) {
  const bool has_refresh_token = request.credentials && !request.credentials->identity_token.empty();
  if (has_refresh_token) {
    StringBody form(refresh_form(request));
    HttpRequest http = base_request(session, request, realm);
    http.method = "POST";
    http.url = realm.str();
    http.headers.add("Content-Type", "application/x-www-form-urlencoded");
    http.body = &form;
    HttpAnswer answer = exchange(session.transport(), session.retry(), http);
    if (answer.response.status != 404 && answer.response.status != 405) return answer;
  }
  return exchange(session.transport(), session.retry(), get_request(session, request, realm));
}

TokenAnswer parse_answer(const std::string& body, const Url& realm) {
  const Json json = Json::parse(body, "the answer of " + realm.authority());
  TokenAnswer answer;
  answer.token = json.string_or("token");
  if (answer.token.empty()) answer.token = json.string_or("access_token");
  answer.refresh_token = json.string_or("refresh_token");
  if (answer.token.empty() || answer.token.find_first_of("\r\n") != std::string::npos) {
    throw Error(ErrorKind::Corrupt, "the token server " + realm.authority() + " gave no token");
  }
  answer.lifetime = std::chrono::seconds(std::max<std::int64_t>(60, json.int_or("expires_in", 60)));
  return answer;
}

}  // namespace

TokenAnswer request_token(RegistrySession& session, const TokenRequest& request) {
  const Url realm = checked_realm(request);
  const HttpAnswer answer = ask(session, request, realm);
  if (answer.response.status == 200) return parse_answer(answer.body, realm);
  const std::string sentence = registry_sentence(answer.response.status, answer.body);
  if (answer.response.status == 401 || answer.response.status == 403 || answer.response.status == 400) {
    throw Error(ErrorKind::Denied, sentence.starts_with("unauthorized") || sentence.starts_with("denied")
                                       ? sentence
                                       : "unauthorized: " + sentence);
  }
  throw RegistryError(is_retryable(answer.response.status) ? ErrorKind::Unavailable : ErrorKind::Invalid,
                      "failed to fetch a token from " + realm.authority() + ": " + sentence, answer.response.status);
}

}  // namespace ctr
