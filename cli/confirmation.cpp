#include "cli/confirmation.h"

#include <unistd.h>

#include "base/text.h"
#include "cli/output.h"

namespace ctr {

bool confirm(const std::string& warning) {
  flush_standard_out();
  write_standard_error(warning + "\nAre you sure you want to continue? [y/N] ");
  std::string answer;
  char c = 0;
  while (answer.size() < 100 && ::read(STDIN_FILENO, &c, 1) == 1 && c != '\n') answer.push_back(c);
  const std::string word = lower(trim(answer));
  return word == "y" || word == "yes";
}

}  // namespace ctr
