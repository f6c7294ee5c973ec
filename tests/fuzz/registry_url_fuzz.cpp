// URLs and references from servers: what is accepted reads the same when it is parsed again, and stays on http.
#include <cstdint>
#include <cstdlib>

#include "base/error.h"
#include "registry/url.h"

namespace {

void check(const ctr::Url& url) {
  if (ctr::Url::parse(url.str()) != url) std::abort();
  if (url.scheme != "http" && url.scheme != "https") std::abort();
  if (url.host.empty() || url.path.empty() || url.path.front() != '/') std::abort();
  if (url.host.find_first_of("@/\\ ?#") != std::string::npos) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    check(ctr::Url::parse(text));
  } catch (const ctr::Error&) {
  }
  try {
    check(ctr::Url::parse("https://host:5000/v2/app/blobs/uploads/").resolve(text));
  } catch (const ctr::Error&) {
  }
  return 0;
}
