// Manifests, indexes and configs from registries: what is accepted is written and read again as the same value.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "image/config.h"
#include "image/manifest.h"

namespace {

template <typename Body>
void attempt(Body body) {
  try {
    body();
  } catch (const ctr::Error&) {
  }
}

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  attempt([&] {
    const ctr::ManifestOrIndex parsed = ctr::parse_manifest_or_index(text, {});
    const std::string again = std::visit([](const auto& document) { return ctr::serialise(document); }, parsed);
    const ctr::ManifestOrIndex second = ctr::parse_manifest_or_index(again, {});
    require(std::visit([](const auto& document) { return ctr::serialise(document); }, second) == again);
  });
  attempt([&] {
    const std::string again = ctr::serialise_image_config(ctr::parse_image_config(text));
    require(ctr::serialise_image_config(ctr::parse_image_config(again)) == again);
  });
  return 0;
}
