// The options of an OCI mount, sorted by what they are: attributes of the mount, of the whole tree, propagation, and
// what is left for the file system itself.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ctr {

struct MountOptions {
  bool is_bind = false;
  bool is_recursive_bind = false;
  /// MOUNT_ATTR_*.
  std::uint64_t set = 0;
  std::uint64_t clear = 0;
  std::uint64_t recursive_set = 0;
  std::uint64_t recursive_clear = 0;
  /// MS_SHARED and its like, with MS_REC for the recursive forms; 0 when none is named.
  unsigned long propagation = 0;
  bool is_idmapped = false;
  bool is_recursively_idmapped = false;
  bool copies_up = false;
  /// "key=value" or "flag", in order.
  std::vector<std::string> data;
};

MountOptions parse_mount_options(const std::vector<std::string>& options);

/// Every option that is known by name, for `features`.
std::vector<std::string> known_mount_options();

}  // namespace ctr
