#include "registry/authorizer.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "registry/base64.h"
#include "registry/ecr.h"
#include "registry/session.h"
#include "registry/token_request.h"
#include "registry/url.h"

namespace ctr {
namespace {

// A token that is about to expire is replaced before it is used.
constexpr std::chrono::seconds kSafetyMargin{10};

std::string origin_of(const RegistryEndpoint& endpoint) {
  return Url::parse(endpoint.api_root).origin();
}

// Whether a scope of ours grants what `scope` grants: "repository:app:pull,push" covers "repository:app:pull".
bool is_covered(const Scopes& ours, const std::string& scope) {
  const std::size_t colon = scope.rfind(':');
  if (colon == std::string::npos) return ours.count(scope) > 0;
  const std::string resource = scope.substr(0, colon + 1);
  for (const std::string& own : ours) {
    if (own.substr(0, own.rfind(':') + 1) != resource) continue;
    const std::vector<std::string> granted = split(own.substr(resource.size()), ',');
    bool all = true;
    for (const std::string& action : split(scope.substr(colon + 1), ',')) {
      all = all && std::find(granted.begin(), granted.end(), action) != granted.end();
    }
    if (all) return true;
  }
  return false;
}

std::string basic_header(const Credentials& credentials) {
  return "Basic " + base64_encode(credentials.username + ":" + credentials.password);
}

const AuthChallenge* find_scheme(const std::vector<AuthChallenge>& challenges, std::string_view scheme) {
  for (const AuthChallenge& challenge : challenges) {
    if (challenge.scheme == scheme) return &challenge;
  }
  return nullptr;
}

std::vector<AuthChallenge> challenges_of(const HttpResponse& response) {
  std::vector<AuthChallenge> challenges;
  for (const std::string& field : response.headers.find_all("WWW-Authenticate")) {
    for (AuthChallenge& challenge : parse_auth_challenges(field)) challenges.push_back(std::move(challenge));
  }
  return challenges;
}

}  // namespace

std::string repository_scope(std::string_view repository, std::string_view actions) {
  return "repository:" + std::string(repository) + ":" + std::string(actions);
}

std::optional<std::string> Authorizer::authorization(const RegistryEndpoint& endpoint,
                                                     const AuthorizationTarget& target) {
  const std::lock_guard guard(mutex_);
  const auto challenge = challenges_.find(origin_of(endpoint));
  if (challenge == challenges_.end()) return std::nullopt;
  return header_for(endpoint, challenge->second, target);
}

std::optional<std::string> Authorizer::answer_challenge(const RegistryEndpoint& endpoint,
                                                        const AuthorizationTarget& target, const HttpResponse& response,
                                                        std::string_view rejected) {
  const std::lock_guard guard(mutex_);
  const std::string origin = origin_of(endpoint);
  const std::vector<AuthChallenge> challenges = challenges_of(response);
  AuthorizationTarget wanted = target;
  if (const AuthChallenge* bearer = find_scheme(challenges, "bearer")) {
    challenges_[origin] = {true, bearer->parameter("realm"), bearer->parameter("service")};
    for (const std::string& scope : split_words(bearer->parameter("scope"))) {
      if (!is_covered(target.scopes, scope)) wanted.scopes.insert(scope);
    }
  } else if (find_scheme(challenges, "basic") != nullptr) {
    challenges_[origin] = {};
  } else if (response.status != 403 || challenges_.count(origin) == 0) {
    return std::nullopt;
  }
  // Another thread may have fetched a fresh token in the meantime: then it is not the one that was rejected.
  auto before = header_for(endpoint, challenges_[origin], wanted);
  if (!before || *before != rejected) return before;
  if (!rejected_.emplace(rejected).second) return std::nullopt;
  forget(rejected);
  forget_credentials(target.host);
  auto after = header_for(endpoint, challenges_[origin], wanted);
  if (after && *after == rejected) return std::nullopt;
  return after;
}

void Authorizer::forget(std::string_view header) {
  std::erase_if(tokens_, [&](const auto& item) { return item.second.header == header; });
}

std::optional<Credentials> Authorizer::find_credentials(const AuthorizationTarget& target) {
  if (const auto given = given_.find(target.host); given != given_.end()) return given->second;
  const std::string key = target.host + "/" + target.repository;
  if (const auto known = found_.find(key); known != found_.end()) return known->second;
  FoundCredentials found;
  if (amazon_only_.count(target.host) == 0) found = session_.credentials().find(target.host, target.repository);
  if (!found.problem.empty()) problem_ = found.problem;
  if (!found.credentials) found.credentials = amazon_credentials(target.host);
  // Without keys the token that was refused is sent again: then the registry's own words say what is wrong with it.
  if (!found.credentials && amazon_only_.count(target.host) > 0) {
    found.credentials = session_.credentials().find(target.host, target.repository).credentials;
  }
  return found_[key] = std::move(found.credentials);
}

// A token for Amazon's registry from the AWS keys at hand; where there are none, the registry's refusal tells why.
std::optional<Credentials> Authorizer::amazon_credentials(const std::string& host) {
  const auto ecr = parse_ecr_host(host);
  if (!ecr) return std::nullopt;
  try {
    return fetch_ecr_token(session_, *ecr).credentials;
  } catch (const Error& error) {
    problem_ = error.what();
    return std::nullopt;
  }
}

// What was found is asked for again: a helper may have a fresh token, and Amazon's are made from keys.
void Authorizer::forget_credentials(const std::string& host) {
  std::erase_if(found_, [&](const auto& item) { return item.first.starts_with(host + "/"); });
  if (!parse_ecr_host(host)) return;
  // A stored token that is refused would shadow a fresh one; a helper gets a second chance first.
  if (!amazon_only_.insert(host).second) return;
  const FoundCredentials again = session_.credentials().find(host);
  if (again.credentials && rejected_.count(basic_header(*again.credentials)) == 0) amazon_only_.erase(host);
}

std::optional<std::string> Authorizer::header_for(const RegistryEndpoint& endpoint, const Challenge& challenge,
                                                  const AuthorizationTarget& target) {
  // Credentials belong to the host of the reference; a mirror has its own or none.
  AuthorizationTarget owner = target;
  if (endpoint.is_mirror) owner.host = Url::parse(endpoint.api_root).authority();
  if (challenge.is_bearer) return fetch_token(endpoint, challenge, owner);
  const std::optional<Credentials> credentials = find_credentials(owner);
  if (!credentials || credentials->username.empty()) return std::nullopt;
  return basic_header(*credentials);
}

std::string Authorizer::fetch_token(const RegistryEndpoint& endpoint, const Challenge& challenge,
                                    const AuthorizationTarget& target) {
  const std::optional<Credentials> credentials = find_credentials(target);
  if (credentials && !credentials->registry_token.empty()) return "Bearer " + credentials->registry_token;
  std::string key = challenge.realm + "\n" + challenge.service + "\n" + (credentials ? credentials->username : "");
  for (const std::string& scope : target.scopes) key += "\n" + scope;
  const auto cached = tokens_.find(key);
  if (cached != tokens_.end() && cached->second.expires > Clock::now()) return cached->second.header;

  TokenRequest request{challenge.realm, challenge.service, target.scopes, credentials, false, endpoint};
  request.wants_refresh_token = given_.count(target.host) > 0;
  const TokenAnswer answer = request_token(session_, request);
  if (request.wants_refresh_token && !answer.refresh_token.empty()) {
    given_.find(target.host)->second.identity_token = answer.refresh_token;
  }
  Token token{"Bearer " + answer.token, Clock::now() + answer.lifetime - kSafetyMargin};
  return (tokens_[key] = std::move(token)).header;
}

void Authorizer::use_credentials(std::string_view host, Credentials credentials) {
  const std::lock_guard guard(mutex_);
  given_[std::string(host)] = std::move(credentials);
  tokens_.clear();
}

Credentials Authorizer::used_credentials(std::string_view host) const {
  const std::lock_guard guard(mutex_);
  const auto given = given_.find(host);
  return given == given_.end() ? Credentials{} : given->second;
}

std::string Authorizer::problem() const {
  const std::lock_guard guard(mutex_);
  return problem_;
}

bool Authorizer::had_credentials(std::string_view host) const {
  const std::lock_guard guard(mutex_);
  if (given_.count(host) > 0) return true;
  const std::string prefix = std::string(host) + "/";
  for (const auto& [key, credentials] : found_) {
    if (credentials && key.starts_with(prefix)) return true;
  }
  return false;
}

}  // namespace ctr
