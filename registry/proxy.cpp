#include "registry/proxy.h"

#include <arpa/inet.h>
#include <array>
#include <cstdlib>
#include <optional>

#include "base/text.h"
#include "registry/url.h"

namespace ctr {
namespace {

std::string environment(const char* upper_name, const char* lower_name) {
  for (const char* name : {upper_name, lower_name}) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') return value;
  }
  return {};
}

struct Address {
  std::array<unsigned char, 16> bytes{};
  unsigned bits = 0;
};

std::optional<Address> parse_address(const std::string& text) {
  Address address;
  if (::inet_pton(AF_INET, text.c_str(), address.bytes.data()) == 1) {
    address.bits = 32;
    return address;
  }
  if (::inet_pton(AF_INET6, text.c_str(), address.bytes.data()) == 1) {
    address.bits = 128;
    return address;
  }
  return std::nullopt;
}

bool matches(const Url& url, const std::string& exception) {
  if (exception == "*") return true;
  if (exception.find('/') != std::string::npos) return is_in_network(url.host, exception);
  std::string name = lower(exception);
  if (const auto parts = cut(name, ':'); parts && parse_uint(parts->second)) {
    if (parts->second != std::to_string(url.port)) return false;
    name = parts->first;
  }
  if (name.starts_with("*.")) name.erase(0, 1);
  if (name.empty()) return false;
  if (name.front() == '.') return url.host.ends_with(name);
  return url.host == name || url.host.ends_with("." + name);
}

}  // namespace

bool is_in_network(const std::string& address, const std::string& cidr) {
  const auto parts = cut(cidr, '/');
  if (!parts) return false;
  const auto host = parse_address(address);
  const auto network = parse_address(parts->first);
  const auto length = parse_uint(parts->second);
  if (!host || !network || !length || host->bits != network->bits || *length > host->bits) return false;
  for (std::size_t bit = 0; bit < *length; ++bit) {
    const auto mask = static_cast<unsigned char>(0x80u >> (bit % 8));
    if (((host->bytes[bit / 8] ^ network->bytes[bit / 8]) & mask) != 0) return false;
  }
  return true;
}

ProxySettings ProxySettings::of_environment() {
  ProxySettings settings;
  settings.http = environment("HTTP_PROXY", "http_proxy");
  settings.https = environment("HTTPS_PROXY", "https_proxy");
  for (const std::string& entry : split(environment("NO_PROXY", "no_proxy"), ',')) {
    if (const std::string_view name = trim(entry); !name.empty()) settings.exceptions.emplace_back(name);
  }
  return settings;
}

std::string ProxySettings::choose(const Url& url) const {
  const std::string& proxy = url.scheme == "https" ? https : http;
  if (proxy.empty() || is_loopback_host(url.host)) return {};
  for (const std::string& exception : exceptions) {
    if (matches(url, exception)) return {};
  }
  return proxy.find("://") == std::string::npos ? "http://" + proxy : proxy;
}

}  // namespace ctr
