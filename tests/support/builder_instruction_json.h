// A parsed Dockerfile as JSON, for the golden files under testdata/dockerfiles. Fields at their defaults are left out,
// so that a file shows what its Dockerfile says.
#pragma once

#include "base/json.h"
#include "builder/dockerfile_parser.h"

namespace ctr {

Json to_json(const Dockerfile& dockerfile);

}  // namespace ctr
