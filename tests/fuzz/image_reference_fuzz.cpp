// Names that people type: what is accepted comes back from its own text, and is safe as a path.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "image/reference.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const ctr::Reference reference = ctr::Reference::parse(text);
    if (ctr::Reference::parse(reference.str()) != reference) std::abort();
    if (ctr::Reference::parse(reference.familiar()) != reference) std::abort();
    const std::string path = "/" + reference.name() + "/:" + reference.tag();
    if (path.find("/../") != std::string::npos || path.find("/./") != std::string::npos ||
        path.find("//") != std::string::npos || path.find('\0') != std::string::npos)
      std::abort();
  } catch (const ctr::Error&) {
  }
  return 0;
}
