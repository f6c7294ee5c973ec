// Base64 (RFC 4648) as credentials and tokens use it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace ctr {

std::string base64_encode(std::string_view bytes);
/// Accepts both alphabets, with or without padding; nothing for anything else.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace ctr
