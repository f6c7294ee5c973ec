#include "registry/aws_credentials.h"

#include <cstdlib>

#include "base/error.h"
#include "base/json.h"
#include "base/process.h"
#include "base/random.h"
#include "base/text.h"
#include "base/time.h"
#include "registry/exchange.h"
#include "registry/registry_error.h"
#include "registry/url.h"

namespace ctr {
namespace {

constexpr int kDeepestRole = 5;
constexpr std::uint64_t kLargestToken = 64 * 1024;

std::string value(const AwsSection& section, const char* key) {
  const auto found = section.find(key);
  return found == section.end() ? std::string() : found->second;
}

[[noreturn]] void fail(const std::string& sentence) {
  throw Error(ErrorKind::Denied, "AWS credentials: " + sentence);
}

AwsKeys keys_from_json(const Json& json, const char* token_member) {
  AwsKeys keys;
  keys.access_key_id = json.require_string("AccessKeyId");
  keys.secret_access_key = json.require_string("SecretAccessKey");
  keys.session_token = json.string_or(token_member);
  return keys;
}

// The text of the first element of that name. STS answers in XML of a few hundred bytes, without attributes.
std::string xml_text(const std::string& xml, const std::string& name) {
  const std::size_t start = xml.find("<" + name + ">");
  if (start == std::string::npos) return {};
  const std::size_t from = start + name.size() + 2;
  const std::size_t end = xml.find("</" + name + ">", from);
  if (end == std::string::npos) return {};
  std::string text = xml.substr(from, end - from);
  for (const auto& [escape, plain] : {std::pair{"&lt;", "<"}, std::pair{"&gt;", ">"}, std::pair{"&quot;", "\""},
                                      std::pair{"&#39;", "'"}, std::pair{"&amp;", "&"}}) {
    text = replace_all(text, escape, plain);
  }
  return text;
}

// Amazon allows plain HTTP for the loopback interface and for its own addresses inside containers.
bool is_allowed_container_endpoint(const Url& url) {
  return url.scheme == "https" || is_loopback_host(url.host) || url.host == "169.254.170.2" ||
         url.host == "169.254.170.23" || url.host == "fd00:ec2::23";
}

RetryPolicy short_retry() {
  RetryPolicy policy;
  policy.attempts = 3;
  policy.first_delay = std::chrono::milliseconds(200);
  return policy;
}

}  // namespace

AwsCredentialChain::Environment process_environment() {
  return [](const char* name) -> std::string {
    const char* value = std::getenv(name);
    return value != nullptr ? value : "";
  };
}

AwsCredentialChain::AwsCredentialChain(HttpTransport& transport, AwsConfig config, Environment environment,
                                       std::string region)
    : transport_(transport),
      config_(std::move(config)),
      environment_(std::move(environment)),
      region_(std::move(region)) {}

AwsCredentials AwsCredentialChain::find() {
  if (auto found = from_environment()) return *found;
  if (auto found = from_web_identity()) return *found;
  if (auto found = from_profile()) return *found;
  if (auto found = from_container()) return *found;
  if (auto found = from_instance()) return *found;
  fail("none found in the environment, a web identity, a profile, a container endpoint or the instance's metadata");
}

std::optional<AwsCredentials> AwsCredentialChain::from_environment() const {
  AwsKeys keys{environment_("AWS_ACCESS_KEY_ID"), environment_("AWS_SECRET_ACCESS_KEY"),
               environment_("AWS_SESSION_TOKEN")};
  if (keys.access_key_id.empty() || keys.secret_access_key.empty()) return std::nullopt;
  return AwsCredentials{std::move(keys), "the environment"};
}

std::optional<AwsCredentials> AwsCredentialChain::from_web_identity() {
  const std::string file = environment_("AWS_WEB_IDENTITY_TOKEN_FILE");
  const std::string role = environment_("AWS_ROLE_ARN");
  if (file.empty() || role.empty()) return std::nullopt;
  return web_identity_credentials(file, role, environment_("AWS_ROLE_SESSION_NAME"), "the web identity of " + role);
}

std::optional<AwsCredentials> AwsCredentialChain::from_profile() {
  std::string name = environment_("AWS_PROFILE");
  if (name.empty()) name = environment_("AWS_DEFAULT_PROFILE");
  const bool was_asked_for = !name.empty();
  if (!was_asked_for) name = "default";
  const auto section = config_.profile(name);
  if (!section) {
    if (was_asked_for) fail("there is no profile " + json_quote(name));
    return std::nullopt;
  }
  const bool has_any = !value(*section, "aws_access_key_id").empty() || !value(*section, "role_arn").empty() ||
                       !value(*section, "credential_process").empty() || !value(*section, "sso_session").empty() ||
                       !value(*section, "sso_start_url").empty();
  if (!has_any && !was_asked_for) return std::nullopt;  // a default profile that only names a region
  return profile_credentials(name, 0);
}

AwsCredentials AwsCredentialChain::profile_credentials(const std::string& name, int depth) {
  if (depth > kDeepestRole) fail("the profiles refer to each other in a circle");
  const auto section = config_.profile(name);
  if (!section) fail("there is no profile " + json_quote(name));
  const std::string source = "profile " + name;
  if (const std::string role = value(*section, "role_arn"); !role.empty()) {
    if (const std::string file = value(*section, "web_identity_token_file"); !file.empty()) {
      return web_identity_credentials(file, role, value(*section, "role_session_name"), source);
    }
    const std::string base = value(*section, "source_profile");
    // A profile that names itself as the source means its own static keys.
    if (!base.empty() && base != name) return assume_role(profile_credentials(base, depth + 1), *section, name);
    if (base.empty()) {
      const std::string kind = value(*section, "credential_source");
      std::optional<AwsCredentials> found;
      if (kind == "Environment") found = from_environment();
      if (kind == "EcsContainer") found = from_container();
      if (kind == "Ec2InstanceMetadata") found = from_instance();
      if (!found) fail("profile " + name + " has a role_arn, but its source gives no keys");
      return assume_role(*found, *section, name);
    }
  }
  AwsKeys keys{value(*section, "aws_access_key_id"), value(*section, "aws_secret_access_key"),
               value(*section, "aws_session_token")};
  if (!keys.access_key_id.empty() && !keys.secret_access_key.empty()) {
    const AwsCredentials own{std::move(keys), source};
    return value(*section, "role_arn").empty() ? own : assume_role(own, *section, name);
  }
  if (!value(*section, "sso_session").empty() || !value(*section, "sso_start_url").empty()) {
    return sso_credentials(*section, name);
  }
  if (const std::string command = value(*section, "credential_process"); !command.empty()) {
    return process_credentials(command, name);
  }
  fail("profile " + name + " holds no keys");
}

AwsCredentials AwsCredentialChain::sso_credentials(const AwsSection& profile, const std::string& name) {
  AwsSection settings = profile;
  if (const std::string session = value(profile, "sso_session"); !session.empty()) {
    const auto section = config_.sso_session(session);
    if (!section) fail("profile " + name + " names an sso-session that does not exist");
    for (const auto& [key, text] : *section) settings.insert({key, text});
  }
  const std::string start_url = value(settings, "sso_start_url");
  const std::string home = environment_("HOME");
  // The cache names its files by a hash; their content says what they are for.
  std::string token;
  for (const std::string& file : list_directory(fs::path(home) / ".aws/sso/cache")) {
    if (!file.ends_with(".json")) continue;
    const auto text = find_file(fs::path(home) / ".aws/sso/cache" / file, kMiB);
    if (!text) continue;
    try {
      const Json json = Json::parse(*text);
      if (json.string_or("startUrl") != start_url) continue;
      const auto expires = parse_time(replace_all(json.string_or("expiresAt"), "UTC", "Z"));
      if (expires && *expires > now()) token = json.string_or("accessToken");
    } catch (const Error&) {
      continue;  // some other file
    }
  }
  if (token.empty())
    fail("the single sign-on of profile " + name + " has expired; run: aws sso login --profile " + name);
  std::string endpoint = environment_("AWS_ENDPOINT_URL_SSO");
  if (endpoint.empty()) endpoint = "https://portal.sso." + value(settings, "sso_region") + ".amazonaws.com";
  std::string query = add_query("", "role_name", value(settings, "sso_role_name"));
  query = add_query(query, "account_id", value(settings, "sso_account_id"));
  const std::string body = get(endpoint + "/federation/credentials?" + query, {{"x-amz-sso_bearer_token", token}});
  const Json json = Json::parse(body, "the answer of single sign-on").at("roleCredentials");
  return {{json.require_string("accessKeyId"), json.require_string("secretAccessKey"), json.string_or("sessionToken")},
          "profile " + name};
}

AwsCredentials AwsCredentialChain::process_credentials(const std::string& command, const std::string& name) const {
  Command shell;
  shell.argv = {"/bin/sh", "-c", command};
  const CommandOutput output = run_command(std::move(shell));
  if (!output.status.success()) {
    fail("the credential_process of profile " + name + " failed: " + printable(output.standard_error));
  }
  return {keys_from_json(Json::parse(output.standard_out, "the credential_process of profile " + name), "SessionToken"),
          "profile " + name};
}

std::string AwsCredentialChain::sts_region() const {
  for (const char* variable : {"AWS_REGION", "AWS_DEFAULT_REGION"}) {
    if (std::string region = environment_(variable); !region.empty()) return region;
  }
  return region_;
}

std::string AwsCredentialChain::sts_endpoint() const {
  for (const char* variable : {"AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"}) {
    if (std::string endpoint = environment_(variable); !endpoint.empty()) return endpoint;
  }
  const std::string region = sts_region();
  return "https://sts." + region + ".amazonaws.com" + (region.starts_with("cn-") ? ".cn" : "");
}

AwsCredentials AwsCredentialChain::web_identity_credentials(const std::string& token_file, const std::string& role,
                                                            const std::string& session, const std::string& source) {
  const std::string token(trim(read_file(token_file, kLargestToken)));
  std::string query = "Action=AssumeRoleWithWebIdentity&Version=2011-06-15";
  query = add_query(query, "RoleArn", role);
  query = add_query(query, "RoleSessionName", session.empty() ? "ctr-" + random_hex(4) : session);
  query = add_query(query, "WebIdentityToken", token);
  return ask_sts(query, source, nullptr);
}

AwsCredentials AwsCredentialChain::assume_role(const AwsCredentials& base, const AwsSection& profile,
                                               const std::string& name) {
  const std::string session = value(profile, "role_session_name");
  std::string query = "Action=AssumeRole&Version=2011-06-15";
  query = add_query(query, "RoleArn", value(profile, "role_arn"));
  query = add_query(query, "RoleSessionName", session.empty() ? "ctr-" + random_hex(4) : session);
  if (const std::string id = value(profile, "external_id"); !id.empty()) query = add_query(query, "ExternalId", id);
  return ask_sts(query, "profile " + name, &base.keys);
}

// The token stands in the body, not in the URL, so that it is in nobody's log.
AwsCredentials AwsCredentialChain::ask_sts(const std::string& query, const std::string& source, const AwsKeys* keys) {
  const Url url = Url::parse(sts_endpoint() + "/");
  StringBody body(query);
  HttpRequest request;
  request.method = "POST";
  request.url = url.str();
  request.body = &body;
  request.headers = {{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}};
  if (keys != nullptr) sign_aws_request(request.headers, "POST", url, query, *keys, {sts_region(), "sts"}, now());
  const HttpAnswer answer = exchange(transport_, short_retry(), request);
  AwsKeys found{xml_text(answer.body, "AccessKeyId"), xml_text(answer.body, "SecretAccessKey"),
                xml_text(answer.body, "SessionToken")};
  if (answer.response.status != 200 || found.access_key_id.empty()) {
    const std::string message = xml_text(answer.body, "Message");
    fail(source + ": " +
         (message.empty() ? registry_sentence(answer.response.status, answer.body) : printable(message)));
  }
  return {std::move(found), source};
}

std::string AwsCredentialChain::get(const std::string& url, const HttpHeaders& headers, const std::string& method) {
  HttpRequest request;
  request.method = method;
  request.url = url;
  request.headers = headers;
  request.timeouts.connect = std::chrono::seconds(2);
  request.timeouts.total = std::chrono::seconds(10);
  const HttpAnswer answer = exchange(transport_, short_retry(), request);
  if (answer.response.status != 200) {
    fail(Url::parse(url).origin() + ": " + registry_sentence(answer.response.status, answer.body));
  }
  return answer.body;
}

std::optional<AwsCredentials> AwsCredentialChain::from_container() {
  std::string url = environment_("AWS_CONTAINER_CREDENTIALS_FULL_URI");
  if (const std::string path = environment_("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"); !path.empty()) {
    url = "http://169.254.170.2" + path;
  }
  if (url.empty()) return std::nullopt;
  if (!is_allowed_container_endpoint(Url::parse(url))) fail("the container endpoint " + url + " is not a local one");
  std::string token = environment_("AWS_CONTAINER_AUTHORIZATION_TOKEN");
  if (const std::string file = environment_("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"); !file.empty()) {
    token = trim(read_file(file, kLargestToken));
  }
  HttpHeaders headers;
  if (!token.empty()) headers.add("Authorization", token);
  return AwsCredentials{keys_from_json(Json::parse(get(url, headers), "the container endpoint"), "Token"),
                        "the container endpoint"};
}

std::optional<AwsCredentials> AwsCredentialChain::from_instance() {
  if (lower(environment_("AWS_EC2_METADATA_DISABLED")) == "true") return std::nullopt;
  std::string base = environment_("AWS_EC2_METADATA_SERVICE_ENDPOINT");
  if (base.empty()) base = "http://169.254.169.254";
  while (base.ends_with('/')) base.pop_back();
  try {
    HttpRequest request;
    request.method = "PUT";
    request.url = base + "/latest/api/token";
    request.headers = {{"X-aws-ec2-metadata-token-ttl-seconds", "300"}};
    request.timeouts.connect = std::chrono::seconds(1);
    request.timeouts.total = std::chrono::seconds(3);
    StringSinkBody token(kLargestToken);
    if (transport_.perform(request, token).status != 200) return std::nullopt;
    const HttpHeaders headers{{"X-aws-ec2-metadata-token", token.text()}};
    const std::string roles = base + "/latest/meta-data/iam/security-credentials/";
    const std::string role(trim(split(get(roles, headers), '\n').front()));
    const Json json = Json::parse(get(roles + percent_encode(role), headers), "the instance's metadata");
    return AwsCredentials{keys_from_json(json, "Token"), "the instance's role " + role};
  } catch (const TransportError&) {
    return std::nullopt;  // not on a machine of Amazon's
  }
}

}  // namespace ctr
