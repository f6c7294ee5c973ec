// RFC 8288's Link header, as far as registries use it for pages: <URL>; rel="next".
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "registry/http.h"

namespace ctr {

/// The target of the link whose rel is "next", not resolved; nothing if there is none.
std::optional<std::string> parse_next_link(std::string_view field);
std::optional<std::string> next_page(const HttpResponse& response);

}  // namespace ctr
