#include "base/random.h"

#include <sys/random.h>

#include "base/error.h"

namespace ctr {

std::string random_hex(std::size_t bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string raw(bytes, '\0');
  std::size_t filled = 0;
  while (filled < bytes) {
    const ssize_t count = ::getrandom(raw.data() + filled, bytes - filled, 0);
    filled += static_cast<std::size_t>(check(count, "getrandom"));
  }
  std::string text;
  text.reserve(2 * bytes);
  for (const char byte : raw) {
    text.push_back(kDigits[static_cast<unsigned char>(byte) >> 4]);
    text.push_back(kDigits[static_cast<unsigned char>(byte) & 15]);
  }
  return text;
}

}  // namespace ctr
