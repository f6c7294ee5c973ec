// WWW-Authenticate taken apart (RFC 9110, 11.6.1): several challenges may share one field. Never throws: what can't
// be read is left out, and the caller sees that nothing it understands was offered.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace ctr {

struct AuthChallenge {
  std::string scheme;                             ///< lower case: "bearer", "basic"
  std::map<std::string, std::string> parameters;  ///< names in lower case

  /// The value, or "" if there is none.
  std::string parameter(std::string_view name) const;
};

std::vector<AuthChallenge> parse_auth_challenges(std::string_view field);

}  // namespace ctr
