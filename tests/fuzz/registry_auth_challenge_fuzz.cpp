// WWW-Authenticate fields from servers: never a crash, always within bounds.
#include <cstdint>
#include <cstdlib>

#include "registry/auth_challenge.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto challenges = ctr::parse_auth_challenges({reinterpret_cast<const char*>(data), size});
  if (challenges.size() > 16) std::abort();
  for (const ctr::AuthChallenge& challenge : challenges) {
    if (challenge.scheme.empty() || challenge.parameters.size() > 32) std::abort();
  }
  return 0;
}
