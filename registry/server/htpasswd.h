// Who may use the server: a file of htpasswd with bcrypt, SHA-512 or SHA-256 hashes. A password that was right is
// remembered by a keyed hash, because bcrypt costs milliseconds by design and comes with every request.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/file.h"

namespace ctr {

class Htpasswd {
 public:
  /// Throws Invalid for a line that is no "user:hash", or a hash that can't be checked here.
  explicit Htpasswd(const fs::path& file);

  /// The user of an Authorization header (Basic); nothing if it is missing or wrong. Thread safe.
  std::optional<std::string> authenticate(const std::optional<std::string>& header);

 private:
  bool verify(const std::string& user, const std::string& password);

  std::map<std::string, std::string> hashes_;
  std::string secret_;
  std::mutex mutex_;
  std::set<std::string> known_good_;
};

}  // namespace ctr
