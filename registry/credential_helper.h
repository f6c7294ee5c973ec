// The protocol of docker-credential-* programs: one word as argument, JSON or a server's name on stdin, JSON on stdout.
#pragma once

#include <optional>
#include <string>

namespace ctr {

struct HelperSecret {
  std::string username;  ///< "<token>" marks the secret as an identity token
  std::string secret;
};

/// Nothing if the helper knows no such server. Throws if the program is missing or fails.
std::optional<HelperSecret> helper_get(const std::string& helper, const std::string& server);
void helper_store(const std::string& helper, const std::string& server, const HelperSecret& secret);
void helper_erase(const std::string& helper, const std::string& server);

}  // namespace ctr
