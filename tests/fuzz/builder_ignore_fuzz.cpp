// An ignore file, a NUL, and paths to ask about. A walk that hands down its parent's decision must agree with asking
// about the path alone whenever nothing is re-included.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "base/error.h"
#include "builder/go_match.h"
#include "builder/ignore_patterns.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ctr;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t middle = input.find('\0');
  const std::string_view file = input.substr(0, middle);
  const std::string_view path = middle == std::string_view::npos ? "a/b" : input.substr(middle + 1);
  try {
    clean_path(path);
    const IgnorePatterns patterns(parse_ignore_file(file));
    const bool alone = patterns.is_ignored(path);
    patterns.may_include_below(path);
    std::vector<IgnorePatterns::Decision> chain;
    for (std::size_t end = path.find('/');; end = path.find('/', end + 1)) {
      IgnorePatterns::Decision next = patterns.decide(path.substr(0, end), chain.empty() ? nullptr : &chain.back());
      chain.push_back(std::move(next));
      if (end == std::string_view::npos) break;
    }
    if (!patterns.has_exceptions() && chain.back().ignored != alone) std::abort();
    go_match(file, path);
  } catch (const Error&) {
  }
  return 0;
}
