// Where ctr keeps things: the store, what lives only as long as the boot, and whose they are.
#pragma once

#include "base/file.h"

namespace ctr {

struct Paths {
  /// The store: $CTR_ROOT, else /var/lib/ctr, else (ordinary users) $XDG_DATA_HOME/ctr.
  fs::path root;
  /// What a reboot empties: $CTR_RUN, else /run/ctr, else (ordinary users) $XDG_RUNTIME_DIR/ctr.
  fs::path run;
  /// Running as an ordinary user.
  bool is_rootless = false;
};

/// From the environment; `root` (--root) overrides $CTR_ROOT. Nothing is created.
Paths find_paths(const fs::path& root = {});

/// The other store on this machine, root's or the user's, when it exists: for "not found here, but there" hints.
std::optional<fs::path> other_store(const Paths& paths);

}  // namespace ctr
