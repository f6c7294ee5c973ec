// hosts.toml: parsed or refused with a sentence, never anything else.
#include <cstdint>

#include "base/error.h"
#include "registry/hosts_toml.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    ctr::parse_hosts_toml({reinterpret_cast<const char*>(data), size}, "/etc/hosts.toml");
  } catch (const ctr::Error&) {
  }
  return 0;
}
