// Which proxy a request goes through, by the rules of Go's net/http that Docker users know: HTTP_PROXY, HTTPS_PROXY
// and NO_PROXY in either case; loopback never goes through one; NO_PROXY takes hosts, domains, addresses and CIDRs.
#pragma once

#include <string>
#include <vector>

namespace ctr {

struct Url;

struct ProxySettings {
  std::string http;
  std::string https;
  std::vector<std::string> exceptions;

  static ProxySettings of_environment();

  /// The proxy's URL, or "" for none.
  std::string choose(const Url& url) const;
};

/// Whether an IP address as text lies in a CIDR ("10.0.0.0/8", "fd00::/8"); false if either is malformed.
bool is_in_network(const std::string& address, const std::string& cidr);

}  // namespace ctr
