// Asking before something is deleted.
#pragma once

#include <string>

namespace ctr {

/// Shows the warning and "Are you sure you want to continue? [y/N]"; true for y or yes.
bool confirm(const std::string& warning);

}  // namespace ctr
