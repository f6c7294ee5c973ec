// Resource limits of an OCI spec as files of control groups, v1 and v2. Absent limits are left as they are.
#pragma once

#include "runtime/cgroup.h"

namespace ctr {

/// Throws Unavailable, naming the controller, where a limit needs one that this machine (or this group) lacks.
void apply_limits(const Cgroup& group, const ResourcesSpec& resources);

}  // namespace ctr
