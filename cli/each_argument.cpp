#include "cli/each_argument.h"

#include "cli/error_text.h"
#include "cli/output.h"

namespace ctr {

int for_each_argument(Invocation& invocation, const std::function<std::string(const std::string&)>& act) {
  int status = 0;
  for (const std::string& argument : invocation.arguments()) {
    try {
      const std::string line = act(argument);
      if (!line.empty()) write_standard_out(line + "\n");
    } catch (const Error& error) {
      flush_standard_out();
      print_error(error_text(error, invocation.global()));
      status = 1;
    }
  }
  return status;
}

}  // namespace ctr
