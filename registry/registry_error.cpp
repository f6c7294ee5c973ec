#include "registry/registry_error.h"

#include <algorithm>

#include "base/json.h"
#include "base/text.h"
#include "registry/auth_challenge.h"

namespace ctr {
namespace {

constexpr std::size_t kMostItems = 8;
constexpr std::string_view kDeniedMessage = "requested access to the resource is denied";

RegistryErrorItem item_of(const Json& json) {
  const auto text = [&json](std::string_view key) {
    const Json* value = json.find(key);
    return value != nullptr && value->is_string() ? printable(value->as_string()) : std::string();
  };
  RegistryErrorItem item{text("code"), text("message")};
  // Amazon and some proxies put the reason into "detail" or "Message" alone.
  if (item.message.empty()) item.message = text("detail");
  if (item.message.empty()) item.message = text("Message");
  return item;
}

std::vector<RegistryErrorItem> items_of(const Json& json) {
  std::vector<RegistryErrorItem> items;
  const Json* errors = json.find("errors");
  if (errors != nullptr && errors->is_array()) {
    for (const Json& error : errors->as_array()) {
      if (items.size() >= kMostItems) break;
      if (error.is_string()) items.push_back({"", printable(error.as_string())});
      if (error.is_object()) items.push_back(item_of(error));
    }
    return items;
  }
  for (const std::string_view key : {"details", "message", "error_description", "error", "Message"}) {
    const Json* value = json.find(key);
    if (value == nullptr || !value->is_string()) continue;
    items.push_back({"", printable(value->as_string())});
    break;
  }
  return items;
}

// A web page is not a sentence.
bool is_plain_sentence(std::string_view body) {
  const std::string_view text = trim(body);
  return !text.empty() && text.size() <= 400 && text.find('<') == std::string_view::npos && text.front() != '{' &&
         text.front() != '[';
}

std::string_view status_text(int status) {
  switch (status) {
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 409:
      return "Conflict";
    case 413:
      return "Request Entity Too Large";
    case 416:
      return "Requested Range Not Satisfiable";
    case 429:
      return "Too Many Requests";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return "";
  }
}

std::string status_sentence(int status) {
  std::string sentence = "received unexpected HTTP status: " + std::to_string(status);
  if (const std::string_view text = status_text(status); !text.empty()) sentence.append(" ").append(text);
  return sentence;
}

std::string item_sentence(const RegistryErrorItem& item) {
  if (item.code.empty()) return item.message;
  const std::string code = replace_all(lower(item.code), "_", " ");
  return item.message.empty() ? code : code + ": " + item.message;
}

// Docker Hub answers 401 with a fresh challenge when a token lacks a scope: that is a denial, not a missing login.
bool lacks_scope(const HttpResponse& response) {
  for (const std::string& field : response.headers.find_all("WWW-Authenticate")) {
    for (const AuthChallenge& challenge : parse_auth_challenges(field)) {
      if (challenge.parameter("error") == "insufficient_scope") return true;
    }
  }
  return false;
}

ErrorKind kind_of(int status) {
  if (status == 401 || status == 403) return ErrorKind::Denied;
  if (status == 404) return ErrorKind::NotFound;
  if (status == 409) return ErrorKind::Exists;
  if (status == 408 || status == 429 || status >= 500) return ErrorKind::Unavailable;
  return ErrorKind::Invalid;
}

std::string rate_limit_sentence(const HttpResponse& response) {
  const auto limit = response.headers.find("RateLimit-Limit");
  const auto remaining = response.headers.find("RateLimit-Remaining");
  const auto retry = response.headers.find("Retry-After");
  std::string text;
  if (limit) text += ", limit " + printable(*limit, 60);
  if (remaining) text += ", remaining " + printable(*remaining, 60);
  if (retry) text += ", retry after " + printable(*retry, 60);
  return text.empty() ? text : " (" + text.substr(2) + ")";
}

}  // namespace

std::string printable(std::string_view text, std::size_t limit) {
  std::string result;
  for (const char character : trim(text)) {
    if (result.size() >= limit) return result + "...";
    const auto byte = static_cast<unsigned char>(character);
    result += byte < 0x20 || byte == 0x7f ? ' ' : character;
  }
  return result;
}

std::vector<RegistryErrorItem> parse_registry_errors(std::string_view body) {
  try {
    return items_of(Json::parse(body));
  } catch (const Error&) {
    if (is_plain_sentence(body)) return {{"", printable(body)}};
    return {};
  }
}

std::string registry_sentence(int status, std::string_view body) {
  std::vector<std::string> sentences;
  for (const RegistryErrorItem& item : parse_registry_errors(body)) {
    if (std::string sentence = item_sentence(item); !sentence.empty()) sentences.push_back(std::move(sentence));
  }
  return sentences.empty() ? status_sentence(status) : join(sentences, "; ");
}

bool has_error_code(std::string_view body, std::string_view code) {
  const auto items = parse_registry_errors(body);
  return std::any_of(items.begin(), items.end(), [&](const RegistryErrorItem& item) { return item.code == code; });
}

RegistryError registry_error(const RegistryRequest& request, const HttpResponse& response, std::string_view body) {
  using Action = RegistryRequest::Action;
  const int status = response.status;
  const bool denied = has_error_code(body, "DENIED") || lacks_scope(response) || status == 403;
  std::string sentence = registry_sentence(status, body);
  if (lacks_scope(response)) sentence = "denied: " + std::string(kDeniedMessage);
  if (status == 429) sentence += rate_limit_sentence(response);
  if (status == 405 && request.action == Action::Push) {
    sentence =
        "the registry does not take this kind of manifest (Amazon ECR refuses OCI artifacts with artifactType or "
        "subject; build without attestations): " +
        sentence;
  }
  if (status == 404 && parse_registry_errors(body).empty()) sentence = "not found";

  if (request.action == Action::Resolve) {
    if (denied && status < 500) {
      return {ErrorKind::Denied,
              "pull access denied for " + request.name +
                  ", repository does not exist or may require 'docker login': " + sentence,
              status};
    }
    if (has_error_code(body, "NAME_UNKNOWN")) {
      return {ErrorKind::NotFound, "repository " + request.name + " not found: " + sentence, status};
    }
    if (status == 404) {
      return {ErrorKind::NotFound, "manifest for " + request.reference + " not found: " + sentence, status};
    }
  }
  if (denied && request.action == Action::Push && sentence.starts_with("received unexpected")) {
    sentence = "denied: " + std::string(kDeniedMessage);
  }
  return {denied ? ErrorKind::Denied : kind_of(status), sentence, status};
}

}  // namespace ctr
