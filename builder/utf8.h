// Reading UTF-8 text character by character, the way Go does: a byte that is no UTF-8 counts as one character.
#pragma once

#include <string_view>

namespace ctr {

/// Takes the first character off the text. REQUIRES: !text.empty(). A broken byte gives U+FFFD.
inline char32_t take_character(std::string_view& text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  const std::size_t length = lead < 0x80                    ? 1
                             : lead >= 0xF0 && lead <= 0xF4 ? 4
                             : lead >= 0xE0                 ? 3
                             : lead >= 0xC2                 ? 2
                                                            : 0;
  bool valid = length > 0 && lead <= 0xF4 && length <= text.size();
  for (std::size_t i = 1; valid && i < length; ++i) valid = (byte(i) & 0xC0) == 0x80;
  char32_t character = length <= 1 ? lead : lead & (0x7Fu >> length);
  for (std::size_t i = 1; valid && i < length; ++i) character = (character << 6) | (byte(i) & 0x3Fu);
  valid = valid && !(length == 3 && (character < 0x800 || (character >= 0xD800 && character <= 0xDFFF))) &&
          !(length == 4 && (character < 0x10000 || character > 0x10FFFF));
  text.remove_prefix(valid ? length : 1);
  return valid ? character : 0xFFFD;
}

}  // namespace ctr
