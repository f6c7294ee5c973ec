// Two calls of firewalld's D-Bus interface, spoken directly: a library for that would be the largest dependency of all.
#pragma once

#include <string>

#include "base/file.h"

namespace ctr {

/// The interface is trusted until firewalld is reloaded. No error if it is already. Throws Unavailable.
void add_to_trusted_zone(const std::string& interface);
void remove_from_trusted_zone(const std::string& interface);

/// Where the system bus listens; $DBUS_SYSTEM_BUS_ADDRESS (unix:path=...) or its usual place.
fs::path system_bus_path();

}  // namespace ctr
