// A build as people watch it: BuildKit's plain lines, a live compact screen on a terminal, or nothing.
#pragma once

#include <memory>
#include <string>

#include "engine/builds.h"

namespace ctr {

/// `mode` is --progress: auto, plain, tty, quiet, none or rawjson; writes to `fd`. Throws UsageError for another mode.
std::unique_ptr<BuildProgress> make_build_view(const std::string& mode, int fd);

}  // namespace ctr
