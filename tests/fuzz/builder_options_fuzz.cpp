// The first byte chooses the parser of a build flag's value; the rest is the value.
#include <cstddef>
#include <cstdint>

#include "base/error.h"
#include "builder/build_options.h"
#include "builder/context_spec.h"
#include "builder/file_mode.h"
#include "builder/instructions.h"
#include "builder/lint.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ctr;
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    switch (data[0] % 11) {
      case 0:
        parse_secret_spec(text);
        break;
      case 1:
        parse_ssh_spec(text);
        break;
      case 2:
        parse_output_spec(text);
        break;
      case 3:
        parse_cache_to_spec(text);
        break;
      case 4:
        parse_cache_from_spec(text);
        break;
      case 5:
        parse_source_date_epoch(text);
        break;
      case 6:
        parse_git_source(text);
        break;
      case 7:
        parse_named_context(text);
        break;
      case 8:
        FileMode::parse(text).apply(0644, FileModeTarget::File);
        break;
      case 9:
        parse_run_mount(text, [](std::string_view word) { return std::string(word); });
        break;
      default:
        parse_lint_config(text);
        break;
    }
  } catch (const Error&) {
  }
  return 0;
}
