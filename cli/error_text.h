// What an error tells the user: its sentence, and where a name was not found, that it may be in the other store.
#pragma once

#include <string>

#include "base/error.h"
#include "cli/command.h"

namespace ctr {

/// Root and each user have a store, and people forget which one they are in. Who chose a place for the store knows.
std::string error_text(const Error& error, const GlobalOptions& global);

}  // namespace ctr
