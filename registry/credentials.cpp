#include "registry/credentials.h"

#include <algorithm>
#include <cstdlib>
#include <sys/stat.h>

#include "base/error.h"
#include "base/process.h"
#include "base/text.h"
#include "base/time.h"
#include "base/user_namespace.h"
#include "registry/base64.h"
#include "registry/credential_helper.h"

namespace ctr {
namespace {

constexpr std::uint64_t kLargestConfig = 4 * kMiB;
constexpr std::string_view kHubKey = "https://index.docker.io/v1/";
constexpr std::string_view kTokenUser = "<token>";

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

Json parse_config(const std::string& text, const std::string& name) {
  if (trim(text).empty()) return Json::object();
  Json config = Json::parse(text, name);
  if (!config.is_object()) throw Error(ErrorKind::Invalid, name + ": not a JSON object");
  return config;
}

// The entries of a document: under "auths", or, in a .dockercfg of old, the document itself.
const Json::Object& auth_entries(const Json& config) {
  static const Json::Object kNone;
  const Json* auths = config.find("auths");
  if (auths != nullptr) return auths->is_object() ? auths->as_object() : kNone;
  return config.contains("credHelpers") || config.contains("credsStore") ? kNone : config.as_object();
}

bool covers(const CredentialKey& key, std::string_view host, std::string_view repository) {
  if (key.host != host) return false;
  if (key.namespace_.empty() || key.namespace_ == repository) return true;
  return repository.starts_with(key.namespace_ + "/");
}

FoundCredentials find_in_auths(const Json& config, std::string_view host, std::string_view repository) {
  FoundCredentials found;
  std::size_t best = 0;
  for (const auto& [name, entry] : auth_entries(config)) {
    if (!entry.is_object()) continue;
    const CredentialKey key = parse_credential_key(name);
    if (!covers(key, host, repository)) continue;
    std::optional<Credentials> credentials = credentials_from_json(entry);
    if (!credentials) continue;
    if (is_expired_ecr_token(*credentials)) {
      found.problem = "the token stored for " + name + " has expired";
      continue;
    }
    // The longest namespace wins; of two keys for one host the one that Docker itself would write.
    const std::size_t rank = 2 * key.namespace_.size() + (name == credential_key(host) ? 2 : 1);
    if (rank <= best) continue;
    best = rank;
    found.credentials = std::move(credentials);
  }
  return found;
}

Credentials credentials_of_helper(const HelperSecret& secret) {
  if (secret.username == kTokenUser) return {.identity_token = secret.secret};
  return {.username = secret.username, .password = secret.secret};
}

// The helper's name that credHelpers gives for a host; an empty name means the plain file.
std::optional<std::string> helper_of_host(const Json& config, std::string_view host) {
  for (const auto& [name, helper] : config.members("credHelpers")) {
    const CredentialKey key = parse_credential_key(name);
    if (key.host == host && key.namespace_.empty() && helper.is_string()) return helper.as_string();
  }
  return std::nullopt;
}

// Docker takes a password store that is installed if the file says nothing at all yet.
std::string default_helper(const Json& config) {
  if (!config.members("auths").empty() || !config.members("credHelpers").empty()) return {};
  const std::string name = find_program("pass") ? "pass" : "secretservice";
  return find_program("docker-credential-" + name) ? name : "";
}

std::string helper_for_writing(const Json& config, std::string_view host) {
  if (const auto helper = helper_of_host(config, host)) return *helper;
  const std::string store = config.string_or("credsStore");
  return store.empty() ? default_helper(config) : store;
}

Json plain_entry(const Credentials& credentials) {
  Json entry = Json::object();
  if (!credentials.identity_token.empty()) {
    entry["auth"] = base64_encode(credentials.username + ":");
    entry["identitytoken"] = credentials.identity_token;
  } else {
    entry["auth"] = base64_encode(credentials.username + ":" + credentials.password);
  }
  return entry;
}

std::vector<std::string> keys_of_host(const Json& config, std::string_view host) {
  std::vector<std::string> keys;
  for (const auto& [name, entry] : config.members("auths")) {
    const CredentialKey key = parse_credential_key(name);
    if (key.host == host && key.namespace_.empty()) keys.push_back(name);
  }
  return keys;
}

bool erase_keys_of_host(Json& config, std::string_view host) {
  const std::vector<std::string> keys = keys_of_host(config, host);
  for (const std::string& key : keys) config["auths"].erase(key);
  return !keys.empty();
}

// Docker indents with tabs.
std::string indent_with_tabs(const std::string& text) {
  std::string result;
  bool at_start = true;
  for (const char character : text) {
    if (at_start && character == ' ') {
      result += '\t';
      continue;
    }
    result += character;
    at_start = character == '\n';
  }
  return result;
}

}  // namespace

std::string credential_key(std::string_view host) {
  return host == "docker.io" ? std::string(kHubKey) : std::string(host);
}

CredentialKey parse_credential_key(std::string_view key) {
  std::string_view rest = key;
  bool has_scheme = false;
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (!rest.starts_with(scheme)) continue;
    rest = without_prefix(rest, scheme);
    has_scheme = true;
  }
  CredentialKey result;
  const std::size_t slash = rest.find('/');
  result.host = lower(rest.substr(0, slash));
  std::string_view path = slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
  while (path.ends_with('/')) path.remove_suffix(1);
  if (!has_scheme && path != "v1" && path != "v2") result.namespace_ = std::string(path);
  for (const std::string_view name :
       {"index.docker.io", "registry-1.docker.io", "registry.hub.docker.com", "hub.docker.com", "registry.docker.io"}) {
    if (result.host == name) result.host = "docker.io";
  }
  return result;
}

std::optional<Credentials> credentials_from_json(const Json& entry) {
  Credentials credentials;
  credentials.identity_token = entry.string_or("identitytoken");
  credentials.registry_token = entry.string_or("registrytoken");
  credentials.username = entry.string_or("username");
  credentials.password = entry.string_or("password");
  if (const std::string auth = entry.string_or("auth"); !auth.empty()) {
    const auto decoded = base64_decode(trim(auth));
    const auto parts = decoded ? cut(*decoded, ':') : std::nullopt;
    if (!parts) throw Error(ErrorKind::Invalid, "an \"auth\" entry is not base64 of \"user:password\"");
    credentials.username = parts->first;
    credentials.password = parts->second.substr(0, parts->second.find_last_not_of('\0') + 1);
  }
  if (credentials.username == kTokenUser && credentials.identity_token.empty()) {
    credentials.identity_token = credentials.password;
  }
  if (credentials.empty()) return std::nullopt;
  return credentials;
}

bool is_expired_ecr_token(const Credentials& credentials) {
  if (credentials.username != "AWS") return false;
  const auto decoded = base64_decode(credentials.password);
  if (!decoded) return false;
  try {
    const auto expiration = Json::parse(*decoded, "token").find_int("expiration");
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now().time_since_epoch()).count();
    return expiration && *expiration <= seconds;
  } catch (const Error&) {
    return false;  // some other password of a user called AWS
  }
}

CredentialStore CredentialStore::of_user() {
  std::string directory = environment("DOCKER_CONFIG");
  if (directory.empty()) directory = environment("HOME") + "/.docker";
  fs::path file = fs::path(directory) / "config.json";
  const fs::path kubernetes = fs::path(directory) / ".dockerconfigjson";
  if (!path_exists(file) && path_exists(kubernetes)) file = kubernetes;
  std::vector<fs::path> others;
  if (const std::string path = environment("REGISTRY_AUTH_FILE"); !path.empty()) others.emplace_back(path);
  if (const std::string run = environment("XDG_RUNTIME_DIR"); !run.empty()) {
    others.emplace_back(fs::path(run) / "containers/auth.json");
  }
  CredentialStore store(std::move(file), std::move(others));
  store.environment_json_ = environment("DOCKER_AUTH_CONFIG");
  return store;
}

CredentialStore::CredentialStore(fs::path config_file, std::vector<fs::path> also_read)
    : config_file_(std::move(config_file)), also_read_(std::move(also_read)) {}

Json CredentialStore::read_config() const {
  const auto text = find_file(config_file_, kLargestConfig);
  return text ? parse_config(*text, config_file_.native()) : Json::object();
}

FoundCredentials CredentialStore::find_in_helpers(const Json& config, std::string_view host) const {
  FoundCredentials found;
  const auto own = helper_of_host(config, host);
  const std::string helper = own ? *own : config.string_or("credsStore");
  if (helper.empty()) return found;
  try {
    if (const auto secret = helper_get(helper, credential_key(host))) {
      found.credentials = credentials_of_helper(*secret);
    }
  } catch (const Error& error) {
    // A store for everything may be a leftover, and the image may be public. A helper for this very host is meant.
    if (own) throw;
    found.problem = error.what();
  }
  return found;
}

FoundCredentials CredentialStore::find(std::string_view host, std::string_view repository) const {
  if (!environment_json_.empty()) {
    FoundCredentials found = find_in_auths(parse_config(environment_json_, "DOCKER_AUTH_CONFIG"), host, repository);
    if (found.credentials) return found;
  }
  const Json config = read_config();
  FoundCredentials found = find_in_helpers(config, host);
  if (found.credentials) return found;
  if (const auto helper = helper_of_host(config, host); helper && !helper->empty()) return found;
  std::vector<FoundCredentials> candidates{find_in_auths(config, host, repository)};
  for (const fs::path& path : also_read_) {
    if (candidates.back().credentials) break;
    const auto text = find_file(path, kLargestConfig);
    if (text) candidates.push_back(find_in_auths(parse_config(*text, path.native()), host, repository));
  }
  for (FoundCredentials& candidate : candidates) {
    if (candidate.credentials) return candidate;
    if (found.problem.empty()) found.problem = candidate.problem;
  }
  return found;
}

StoredCredential CredentialStore::store(std::string_view host, const Credentials& credentials) const {
  Json config = read_config();
  const std::string helper = helper_for_writing(config, host);
  const std::string key = credential_key(host);
  erase_keys_of_host(config, host);
  if (helper.empty()) {
    config["auths"][key] = plain_entry(credentials);
    write_config(config);
    return {config_file_.native(), true};
  }
  const bool is_token = !credentials.identity_token.empty();
  helper_store(helper, key,
               {is_token ? std::string(kTokenUser) : credentials.username,
                is_token ? credentials.identity_token : credentials.password});
  config["auths"][key] = Json::object();
  if (!helper_of_host(config, host)) config["credsStore"] = helper;
  write_config(config);
  return {"docker-credential-" + helper, false};
}

bool CredentialStore::erase(std::string_view host) const {
  Json config = read_config();
  const std::string helper = helper_for_writing(config, host);
  bool erased = false;
  if (!helper.empty() && helper_get(helper, credential_key(host))) {
    helper_erase(helper, credential_key(host));
    erased = true;
  }
  if (erase_keys_of_host(config, host)) {
    write_config(config);
    erased = true;
  }
  return erased;
}

void CredentialStore::write_config(const Json& config) const {
  make_directories(config_file_.parent_path(), 0700);
  // A link stays a link: people keep the file elsewhere.
  std::error_code missing;
  const fs::path target = fs::canonical(config_file_, missing);
  const fs::path& path = missing ? config_file_ : target;
  struct stat before {};
  const bool existed = ::stat(path.c_str(), &before) == 0;
  write_file_atomic(path, indent_with_tabs(config.dump_pretty(1)), Durability::Synced, 0600);
  if (existed && invoking_user() == 0 && ::geteuid() == 0 && before.st_uid != 0) {
    check(::chown(path.c_str(), before.st_uid, before.st_gid), "give back", path);
  }
}

std::vector<std::pair<std::string, std::string>> CredentialStore::http_headers() const {
  std::vector<std::pair<std::string, std::string>> headers;
  const Json config = read_config();
  for (const auto& [name, value] : config.members("HttpHeaders")) {
    if (value.is_string() && lower(name) != "user-agent") headers.emplace_back(name, value.as_string());
  }
  return headers;
}

}  // namespace ctr
