// Random names from the kernel's generator.
#pragma once

#include <cstddef>
#include <string>

namespace ctr {

/// `bytes` random bytes as 2*bytes lower-case hexadecimal digits.
std::string random_hex(std::size_t bytes);

}  // namespace ctr
