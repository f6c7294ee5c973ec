#include "registry/ecr.h"

#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "registry/aws_credentials.h"
#include "registry/base64.h"
#include "registry/exchange.h"
#include "registry/registry_error.h"
#include "registry/session.h"
#include "registry/url.h"

namespace ctr {
namespace {

constexpr std::string_view kTargetPrefix = "AmazonEC2ContainerRegistry_V20150921.";

bool all_of(std::string_view text, bool (*test)(char)) {
  return !text.empty() && std::all_of(text.begin(), text.end(), test);
}

bool is_digit(char character) {
  return character >= '0' && character <= '9';
}
bool is_region_character(char character) {
  return is_digit(character) || (character >= 'a' && character <= 'z') || character == '-';
}

std::string api_endpoint(const EcrHost& host) {
  const auto environment = process_environment();
  for (const char* variable : {"AWS_ENDPOINT_URL_ECR", "AWS_ENDPOINT_URL"}) {
    if (std::string endpoint = environment(variable); !endpoint.empty()) return endpoint;
  }
  return host.api;
}

struct ApiAnswer {
  int status = 0;
  std::string error_type;
  std::string message;
  Json json;
};

ApiAnswer call_api(RegistrySession& session, const EcrHost& host, const std::string& operation, const std::string& body,
                   const AwsCredentials& credentials) {
  std::string endpoint = api_endpoint(host);
  while (endpoint.ends_with('/')) endpoint.pop_back();
  const Url url = Url::parse(endpoint + "/");
  StringBody source(body);
  HttpRequest request;
  request.method = "POST";
  request.url = url.str();
  request.body = &source;
  request.headers = {{"Content-Type", "application/x-amz-json-1.1"},
                     {"X-Amz-Target", std::string(kTargetPrefix) + operation}};
  sign_aws_request(request.headers, "POST", url, body, credentials.keys, {host.region, "ecr"}, now());
  const HttpAnswer answer = exchange(session.transport(), session.retry(), request);
  ApiAnswer result;
  result.status = answer.response.status;
  try {
    result.json = Json::parse(answer.body, "the answer of " + url.host);
  } catch (const Error&) {
    if (result.status == 200) throw;
  }
  // "com.amazonaws.ecr#RepositoryAlreadyExistsException"
  result.error_type = result.json.string_or("__type");
  result.error_type = result.error_type.substr(result.error_type.find('#') + 1);
  result.message = result.json.string_or("message", result.json.string_or("Message"));
  if (result.message.empty()) result.message = registry_sentence(result.status, answer.body);
  return result;
}

AwsCredentials find_keys(RegistrySession& session, const EcrHost& host) {
  return AwsCredentialChain(session.transport(), AwsConfig::of_user(), process_environment(), host.region).find();
}

[[noreturn]] void fail(const std::string& operation, const ApiAnswer& answer, const std::string& source) {
  throw Error(ErrorKind::Denied, "Amazon ECR refused " + operation + " with the AWS credentials of " + source + ": " +
                                     (answer.error_type.empty() ? "" : printable(answer.error_type) + ": ") +
                                     printable(answer.message));
}

}  // namespace

std::optional<EcrHost> parse_ecr_host(std::string_view host) {
  const std::vector<std::string> parts = split_at_most(host, '.', 5);
  if (parts.size() < 5) return std::nullopt;
  EcrHost ecr;
  ecr.account = parts[0];
  if (ecr.account.size() != 12 || !all_of(ecr.account, is_digit)) return std::nullopt;
  const bool has_one_part = parts[1] == "dkr-ecr" || parts[1] == "dkr-ecr-fips";
  if (!has_one_part && (parts[1] != "dkr" || (parts[2] != "ecr" && parts[2] != "ecr-fips"))) return std::nullopt;
  const bool is_fips = parts[1] == "dkr-ecr-fips" || parts[2] == "ecr-fips";
  ecr.region = has_one_part ? parts[2] : parts[3];
  if (!all_of(ecr.region, is_region_character)) return std::nullopt;
  const std::string domain = has_one_part ? parts[3] + "." + parts[4] : parts[4];
  if (has_one_part) {
    if (domain != "on.aws" && domain != "on.amazonwebservices.com.cn") return std::nullopt;
    ecr.api = "https://ecr." + ecr.region + (domain == "on.aws" ? ".api.aws" : ".api.amazonwebservices.com.cn");
  } else {
    if (domain != "amazonaws.com" && domain != "amazonaws.com.cn") return std::nullopt;
    ecr.api = "https://" + std::string(is_fips ? "ecr-fips." : "api.ecr.") + ecr.region + "." + domain;
  }
  return ecr;
}

EcrToken fetch_ecr_token(RegistrySession& session, const EcrHost& host) {
  const AwsCredentials keys = find_keys(session, host);
  const ApiAnswer answer = call_api(session, host, "GetAuthorizationToken", "{}", keys);
  if (answer.status != 200) fail("a token", answer, keys.source);
  const Json::Array& data = answer.json.elements("authorizationData");
  if (data.empty()) throw Error(ErrorKind::Corrupt, "Amazon ECR gave no token");
  const auto decoded = base64_decode(data.front().require_string("authorizationToken"));
  const auto pair = decoded ? cut(*decoded, ':') : std::nullopt;
  if (!pair) throw Error(ErrorKind::Corrupt, "Amazon ECR's token is malformed");
  const auto seconds = static_cast<std::int64_t>(data.front().double_or("expiresAt"));
  return {{.username = pair->first, .password = pair->second}, Time(std::chrono::seconds(seconds)), keys.source};
}

void create_ecr_repository(RegistrySession& session, const EcrHost& host, const std::string& repository) {
  const AwsCredentials keys = find_keys(session, host);
  const Json body = Json::object({{"repositoryName", Json(repository)}});
  const ApiAnswer answer = call_api(session, host, "CreateRepository", body.dump(), keys);
  if (answer.status == 200 || answer.error_type == "RepositoryAlreadyExistsException") return;
  fail("to create the repository " + repository, answer, keys.source);
}

std::string create_repository_hint(const EcrHost& host, const std::string& repository) {
  return "create it with: aws ecr create-repository --repository-name " + repository + " --region " + host.region +
         "  (or: ctr push --create)";
}

}  // namespace ctr
