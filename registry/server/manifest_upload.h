// PUT of a manifest: takes the body in bounds, checks that it is what it says and that everything it names is here, and
// publishes it under its digest and tags.
#pragma once

#include <string>

#include "registry/server/http_server.h"
#include "registry/server/repositories.h"

namespace ctr {

ServerAction start_manifest_upload(Repositories& repositories, const ServerRequest& request, const std::string& name,
                                   const std::string& reference);

}  // namespace ctr
