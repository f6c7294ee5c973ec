// Docker's Resources as an OCI spec's limits, device rules and device nodes.
#pragma once

#include "engine/container_config.h"
#include "runtime/spec.h"

namespace ctr {

/// Limits alone, no device rules; what `update` writes as well.
ResourcesSpec make_limits(const Resources& resources);

/// Adds --device nodes and their rules, and --device-cgroup-rule. Throws Invalid in Docker's words.
void add_devices(Spec& spec, const Resources& resources);

/// --ulimit, over the configuration's defaults.
std::vector<RlimitSpec> make_rlimits(const std::vector<Ulimit>& ulimits, const StringMap& defaults);

}  // namespace ctr
