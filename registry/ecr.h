// Amazon's registry: which hosts are one, a token for it from the AWS keys at hand (nothing is stored), and a
// repository made on request. What else it does differently is built into push (no chunks, tags asked for first).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"
#include "registry/credentials.h"

namespace ctr {

class RegistrySession;

struct EcrHost {
  std::string account;
  std::string region;
  std::string api;  ///< "https://api.ecr.eu-west-1.amazonaws.com"
};

/// 123456789012.dkr.ecr.eu-west-1.amazonaws.com, its forms for China, FIPS and both IP versions; nothing for others.
std::optional<EcrHost> parse_ecr_host(std::string_view host);

struct EcrToken {
  Credentials credentials;
  Time expires;
  std::string source;  ///< where the AWS keys came from
};

/// Throws Denied without AWS keys, or if they may not do this.
EcrToken fetch_ecr_token(RegistrySession& session, const EcrHost& host);

/// Creates the repository; that it exists already is no error.
void create_ecr_repository(RegistrySession& session, const EcrHost& host, const std::string& repository);

/// What to type when a repository does not exist.
std::string create_repository_hint(const EcrHost& host, const std::string& repository);

}  // namespace ctr
