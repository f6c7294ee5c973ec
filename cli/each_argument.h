// Commands that take several names: each is done, each failure is said, and one failure makes the status 1.
#pragma once

#include <functional>
#include <string>

#include "cli/command.h"

namespace ctr {

/// Calls `act` with each argument in order; prints the text it returns as a line, if there is any.
int for_each_argument(Invocation& invocation, const std::function<std::string(const std::string&)>& act);

}  // namespace ctr
