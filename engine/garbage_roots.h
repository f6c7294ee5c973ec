// What containers and build records keep alive in the store, for garbage collection (image/garbage.h).
#pragma once

#include <vector>

#include "engine/context.h"
#include "image/garbage.h"

namespace ctr {

/// Layers and snapshots of all containers, those being made included, and layers of build records.
std::vector<RootProvider> garbage_roots(Context& context);

/// Collects what nothing leads to any more and deletes it.
GarbageReport collect_garbage(Context& context);

}  // namespace ctr
