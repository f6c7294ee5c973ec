// Which control group hierarchies are mounted where. Read once per process.
#pragma once

#include <string>
#include <vector>

#include "base/file.h"
#include "runtime/cgroup.h"

namespace ctr {

struct CgroupHierarchy {
  /// "cpu,cpuacct", "name=systemd"; empty for v2.
  std::string controllers;
  /// For a user's session the directory below it that was delegated to the user: all paths start there.
  fs::path mount_point;
  bool is_unified = false;

  bool has(std::string_view controller) const;
};

/// A user's session has those hierarchies alone in which groups can be made.
struct CgroupMounts {
  CgroupLayout layout = CgroupLayout::None;
  std::vector<CgroupHierarchy> hierarchies;
};

const CgroupMounts& cgroup_mounts();

}  // namespace ctr
