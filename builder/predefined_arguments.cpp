#include "builder/predefined_arguments.h"

#include <algorithm>
#include <iterator>
#include <string>

#include "base/text.h"

namespace ctr {

bool is_proxy_argument(std::string_view name) noexcept {
  static constexpr std::string_view kNames[] = {"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "FTP_PROXY",
                                                "ftp_proxy",  "NO_PROXY",   "no_proxy",    "ALL_PROXY",   "all_proxy"};
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

bool is_platform_argument(std::string_view name) noexcept {
  static constexpr std::string_view kNames[] = {"BUILDPLATFORM", "BUILDOS",        "BUILDOSVERSION", "BUILDARCH",
                                                "BUILDVARIANT",  "TARGETPLATFORM", "TARGETOS",       "TARGETOSVERSION",
                                                "TARGETARCH",    "TARGETVARIANT",  "TARGETSTAGE"};
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

}  // namespace ctr
