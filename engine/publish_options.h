// -p and --expose, added to a request: the texts become Docker's PortBindings and ExposedPorts.
#pragma once

#include <string>

#include "engine/containers.h"

namespace ctr {

/// A value of -p, in any of its forms. Throws Invalid in Docker's words.
void add_published_ports(const std::string& text, CreateRequest& request);

/// A value of --expose: "80", "80/udp", "8000-8010".
void add_exposed_ports(const std::string& text, CreateRequest& request);

}  // namespace ctr
