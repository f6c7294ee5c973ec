// From words to an exit status: global flags, the command, its flags, its help, its errors.
#pragma once

#include <string>
#include <vector>

namespace ctr {

/// `words` are argv, the program's name included. Prints errors to standard error. Never throws.
int run_program(const std::vector<std::string>& words);

}  // namespace ctr
