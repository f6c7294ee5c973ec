// Who holds a port that could not be bound: a container of this store, or a process of the host. Only for sentences.
#pragma once

#include <string>

#include "base/paths.h"
#include "runtime/port_binding.h"

namespace ctr {

/// "container 1a2b3c4d5e6f", "process 123 (nginx)", or "" when nobody can be found.
std::string port_holder(const Paths& paths, const PublishedPort& port);

}  // namespace ctr
