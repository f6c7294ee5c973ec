// Which devices a group may use: a list in v1, a BPF program in v2.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/cgroup.h"

namespace ctr {

/// Applies the rules in order, and after them what every container may use (null, zero, its terminals, mknod). Without
/// rules nothing is restricted.
void apply_device_rules(const Cgroup& group, const std::vector<DeviceRule>& rules);

/// The rules with the common ones at their end.
std::vector<DeviceRule> complete_device_rules(const std::vector<DeviceRule>& rules);

/// The v2 program: struct bpf_insn as bytes. The last rule that matches decides; nothing matching means no.
std::string compile_device_program(const std::vector<DeviceRule>& rules);

}  // namespace ctr
