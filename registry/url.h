// The part of RFC 3986 that registries need: absolute http and https URLs taken apart, references such as a Location
// header resolved against them. Strict on purpose, since servers send them: no user names in them, no control
// characters, no backslashes, so that no two programs read the same text as different hosts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ctr {

struct Url {
  std::string scheme;      ///< "http" or "https"
  std::string host;        ///< lower case; an IPv6 address without its brackets
  std::uint16_t port = 0;  ///< the scheme's own if none was given
  std::string path;        ///< "/" at least
  std::string query;       ///< without "?"

  /// Throws Invalid. A fragment is dropped.
  static Url parse(std::string_view text);

  /// What a reference (Location, Link, realm) found at this URL means. Throws Invalid.
  Url resolve(std::string_view reference) const;

  std::string str() const;
  /// "https://host:5000", the port only if it isn't the scheme's own.
  std::string origin() const;
  /// "host" or "host:5000", the brackets of an IPv6 address included.
  std::string authority() const;

  friend bool operator==(const Url&, const Url&) = default;
};

/// localhost, names below it, 127.0.0.0/8, ::1: hosts without a port.
bool is_loopback_host(std::string_view host);

/// Everything but letters, digits, "-._~" becomes %XX.
std::string percent_encode(std::string_view text);

/// "key=value" joined to a query with "&", both encoded.
std::string add_query(std::string query, std::string_view key, std::string_view value);

/// The path without its "." and ".." parts.
std::string normalize_path(std::string_view path);

}  // namespace ctr
