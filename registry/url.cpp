#include "registry/url.h"

#include <algorithm>
#include <arpa/inet.h>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"

namespace ctr {
namespace {

constexpr std::size_t kLongestUrl = 16 * 1024;
constexpr std::string_view kUnreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
constexpr std::string_view kHostCharacters = "abcdefghijklmnopqrstuvwxyz0123456789-._";

// Only the part before "?" goes into the sentence: queries carry signatures and tokens.
[[noreturn]] void refuse(std::string_view text, std::string_view why) {
  const std::string shown(text.substr(0, std::min<std::size_t>(text.find('?'), 120)));
  throw Error(ErrorKind::Invalid, "invalid URL " + json_quote(shown) + ": " + std::string(why));
}

void check_characters(std::string_view text) {
  if (text.size() > kLongestUrl) refuse(text, "it is too long");
  for (const char character : text) {
    const auto byte = static_cast<unsigned char>(character);
    if (byte <= 0x20 || byte >= 0x7f || byte == '\\' || byte == '"' || byte == '<' || byte == '>') {
      refuse(text, "it holds a character that does not belong there");
    }
  }
}

std::uint16_t default_port(std::string_view scheme) {
  return scheme == "https" ? 443 : 80;
}

std::uint16_t parse_port(std::string_view text, std::string_view whole) {
  const auto port = parse_uint(text);
  if (!port || *port == 0 || *port > 65535) refuse(whole, "its port is not a number from 1 to 65535");
  return static_cast<std::uint16_t>(*port);
}

// host[:port], where host may be a bracketed IPv6 address.
void parse_authority(Url& url, std::string_view authority, std::string_view whole) {
  if (authority.find('@') != std::string_view::npos) refuse(whole, "it holds a user name");
  std::string_view port;
  bool has_port = false;
  if (!authority.empty() && authority.front() == '[') {
    const std::size_t end = authority.find(']');
    if (end == std::string_view::npos) refuse(whole, "a bracket is missing");
    url.host = lower(authority.substr(1, end - 1));
    in6_addr address{};
    if (::inet_pton(AF_INET6, url.host.c_str(), &address) != 1) refuse(whole, "its host is not an IPv6 address");
    const std::string_view rest = authority.substr(end + 1);
    has_port = !rest.empty();
    if (has_port && rest.front() != ':') refuse(whole, "its host is malformed");
    if (has_port) port = rest.substr(1);
  } else {
    const std::size_t colon = authority.find(':');
    has_port = colon != std::string_view::npos;
    url.host = lower(authority.substr(0, colon));
    if (has_port) port = authority.substr(colon + 1);
    if (url.host.empty()) refuse(whole, "it names no host");
    if (url.host.find_first_not_of(kHostCharacters) != std::string::npos) refuse(whole, "its host is malformed");
  }
  url.port = has_port && !port.empty() ? parse_port(port, whole) : default_port(url.scheme);
}

void split_path(Url& url, std::string_view rest) {
  rest = rest.substr(0, rest.find('#'));
  const std::size_t question = rest.find('?');
  url.path = std::string(rest.substr(0, question));
  url.query = question == std::string_view::npos ? std::string() : std::string(rest.substr(question + 1));
}

bool has_scheme(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  return text.find_first_of("/?#") > colon;
}

}  // namespace

Url Url::parse(std::string_view text) {
  check_characters(text);
  const std::size_t end = text.find("://");
  if (end == std::string_view::npos) refuse(text, "it has no scheme");
  Url url;
  url.scheme = lower(text.substr(0, end));
  if (url.scheme != "http" && url.scheme != "https") refuse(text, "only http and https are spoken");
  const std::string_view rest = text.substr(end + 3);
  const std::size_t path = std::min(rest.find_first_of("/?#"), rest.size());
  parse_authority(url, rest.substr(0, path), text);
  split_path(url, rest.substr(path));
  url.path = normalize_path(url.path);
  return url;
}

Url Url::resolve(std::string_view reference) const {
  check_characters(reference);
  if (has_scheme(reference)) return parse(reference);
  if (reference.substr(0, 2) == "//") return parse(scheme + ":" + std::string(reference));
  Url result = *this;
  Url parts;
  split_path(parts, reference);
  result.query = parts.query;
  if (parts.path.empty()) {
    if (reference.empty() || reference.front() == '#') result.query = query;
    return result;
  }
  const bool absolute = parts.path.front() == '/';
  result.path = normalize_path(absolute ? parts.path : path.substr(0, path.rfind('/') + 1) + parts.path);
  return result;
}

std::string Url::authority() const {
  std::string text = host.find(':') == std::string::npos ? host : "[" + host + "]";
  if (port != default_port(scheme)) text += ":" + std::to_string(port);
  return text;
}

std::string Url::origin() const {
  return scheme + "://" + authority();
}

std::string Url::str() const {
  return origin() + path + (query.empty() ? "" : "?" + query);
}

bool is_loopback_host(std::string_view host) {
  const std::string name = lower(host);
  constexpr std::string_view kBelow = ".localhost";
  if (name == "localhost" || name == "::1" || name == "[::1]") return true;
  if (name.size() > kBelow.size() && name.ends_with(kBelow)) return true;
  in_addr address{};
  return ::inet_pton(AF_INET, name.c_str(), &address) == 1 && (ntohl(address.s_addr) >> 24) == 127;
}

std::string percent_encode(std::string_view text) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string result;
  for (const char character : text) {
    if (kUnreserved.find(character) != std::string_view::npos) {
      result += character;
      continue;
    }
    const auto byte = static_cast<unsigned char>(character);
    result += '%';
    result += kDigits[byte >> 4];
    result += kDigits[byte & 15];
  }
  return result;
}

std::string add_query(std::string query, std::string_view key, std::string_view value) {
  if (!query.empty()) query += '&';
  return query + percent_encode(key) + "=" + percent_encode(value);
}

std::string normalize_path(std::string_view path) {
  if (path.empty() || path.front() != '/') return normalize_path("/" + std::string(path));
  // Empty parts stay: a storage service signs the path as it is written.
  std::vector<std::string_view> kept;
  std::string_view rest = path;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('/', 1), rest.size());
    const std::string_view part = rest.substr(1, end - 1);
    rest.remove_prefix(end);
    if (part != "." && part != "..") {
      kept.push_back(part);
      continue;
    }
    if (part == ".." && !kept.empty()) kept.pop_back();
    if (rest.empty()) kept.emplace_back();
  }
  std::string result;
  for (const std::string_view part : kept) result.append("/").append(part);
  return result.empty() ? "/" : result;
}

}  // namespace ctr
