// The names that BuildKit gives a meaning without an ARG. Names only: their values come from whoever runs the build.
#pragma once

#include <string_view>

namespace ctr {

/// HTTP_PROXY and the like (both cases): usable without ARG, not in the history, not in the cache key.
bool is_proxy_argument(std::string_view name) noexcept;

/// TARGETPLATFORM, BUILDOS, TARGETSTAGE and the like: set in the global scope, a stage sees them after `ARG name`.
bool is_platform_argument(std::string_view name) noexcept;

}  // namespace ctr
