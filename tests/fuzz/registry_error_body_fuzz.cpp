// Error bodies from servers: one printable line of bounded length comes out, whatever goes in.
#include <cstdint>
#include <cstdlib>

#include "registry/registry_error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  const std::string sentence = ctr::registry_sentence(404, body);
  if (sentence.empty() || sentence.size() > 10'000) std::abort();
  for (const char character : sentence) {
    if (static_cast<unsigned char>(character) < 0x20) std::abort();
  }
  return 0;
}
