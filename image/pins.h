// Pin files: $CTR_RUN/pins/<pid>-<random>, one a running command, locked as long as the command lives. A line is what
// the command relies on: "sha256:…", or "snapshot:<id>".
#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/file.h"
#include "image/digest.h"

namespace ctr {

struct PinnedObjects {
  std::set<Digest> digests;
  std::set<std::string> snapshots;
};

/// Makes a pin file and holds its lock by the returned descriptor.
Fd create_pin_file(const fs::path& directory, fs::path& path);

/// What the live pins hold; removes the files of dead commands. REQUIRES: store.lock held exclusively.
PinnedObjects read_pins(const fs::path& directory);

}  // namespace ctr
