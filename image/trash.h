// The trash: what is removed is renamed to there first, which is atomic and quick however large it is, and deleted
// later by whoever has the time.
#pragma once

#include "base/file.h"

namespace ctr {

/// Renames `path` into `trash` under a name of its own. Whether there was something to move.
bool move_to_trash(const fs::path& path, const fs::path& trash);

}  // namespace ctr
