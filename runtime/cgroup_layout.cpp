#include "runtime/cgroup_layout.h"

#include <algorithm>
#include <array>
#include <linux/magic.h>
#include <optional>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/text.h"
#include "base/user_namespace.h"

namespace ctr {

namespace {

constexpr const char* kUsualPlace = "/sys/fs/cgroup";

/// What v1 calls controllers; the rest of a hierarchy's options are options.
bool is_controller(std::string_view word) {
  static constexpr std::array<std::string_view, 14> kControllers = {
      "cpu",  "cpuacct", "cpuset",   "memory",  "devices", "freezer", "blkio",
      "pids", "net_cls", "net_prio", "hugetlb", "rdma",    "misc",    "perf_event"};
  return word.starts_with("name=") || std::find(kControllers.begin(), kControllers.end(), word) != kControllers.end();
}

/// One line of mountinfo: "36 35 98:0 /root /mount/point options optional... - type source super-options".
void add_hierarchy(const std::string& line, std::vector<CgroupHierarchy>& hierarchies) {
  const std::size_t separator = line.find(" - cgroup");
  if (separator == std::string::npos) return;
  const std::vector<std::string> left = split_words(std::string_view(line).substr(0, separator));
  const std::vector<std::string> right = split_words(std::string_view(line).substr(separator + 3));
  if (left.size() < 5 || right.size() < 3) return;
  CgroupHierarchy hierarchy;
  hierarchy.mount_point = left[4];
  hierarchy.is_unified = right[0] == "cgroup2";
  if (!hierarchy.is_unified) {
    std::vector<std::string> controllers;
    for (const std::string& option : split(right[2], ',')) {
      if (is_controller(option)) controllers.push_back(option);
    }
    hierarchy.controllers = join(controllers, ",");
    if (hierarchy.controllers.empty()) return;
  }
  const auto is_same = [&](const CgroupHierarchy& other) {
    return other.is_unified == hierarchy.is_unified && other.controllers == hierarchy.controllers;
  };
  if (std::none_of(hierarchies.begin(), hierarchies.end(), is_same)) hierarchies.push_back(std::move(hierarchy));
}

CgroupMounts find_mounts() {
  CgroupMounts mounts;
  struct statfs status {};
  if (::statfs(kUsualPlace, &status) == 0 && status.f_type == CGROUP2_SUPER_MAGIC) {
    mounts.layout = CgroupLayout::V2;
    mounts.hierarchies.push_back({"", kUsualPlace, true});
    return mounts;
  }
  for (const std::string& line : split(find_file("/proc/self/mountinfo").value_or(""), '\n')) {
    add_hierarchy(line, mounts.hierarchies);
  }
  const auto is_unified = [](const CgroupHierarchy& one) { return one.is_unified; };
  const bool has_unified = std::any_of(mounts.hierarchies.begin(), mounts.hierarchies.end(), is_unified);
  const bool has_v1 = !std::all_of(mounts.hierarchies.begin(), mounts.hierarchies.end(), is_unified);
  if (has_v1) mounts.layout = has_unified ? CgroupLayout::Hybrid : CgroupLayout::V1;
  if (!has_v1 && has_unified) mounts.layout = CgroupLayout::V2;
  return mounts;
}

/// The highest group above ours that we may make groups in: what systemd delegates to a user is user@<uid>.service.
std::optional<fs::path> delegated_directory(const fs::path& mount_point) {
  for (const std::string& line : split(find_file("/proc/self/cgroup", kMiB).value_or(""), '\n')) {
    if (!line.starts_with("0::/")) continue;
    std::optional<fs::path> highest;
    for (fs::path path = line.substr(4);; path = path.parent_path()) {
      const fs::path directory = mount_point / path;
      const bool is_ours = ::access(directory.c_str(), W_OK) == 0 &&
                           ::access((directory / "cgroup.subtree_control").c_str(), W_OK) == 0;
      if (is_ours) highest = directory;
      if (path.empty() || (highest && !is_ours)) return highest;
    }
  }
  return std::nullopt;
}

void keep_what_is_delegated(std::vector<CgroupHierarchy>& hierarchies) {
  std::erase_if(hierarchies, [](CgroupHierarchy& hierarchy) {
    if (!hierarchy.is_unified) return ::access(hierarchy.mount_point.c_str(), W_OK) != 0;
    const auto directory = delegated_directory(hierarchy.mount_point);
    if (directory) hierarchy.mount_point = *directory;
    return !directory;
  });
}

CgroupMounts find_usable_mounts() {
  CgroupMounts mounts = find_mounts();
  if (is_user_session()) keep_what_is_delegated(mounts.hierarchies);
  return mounts;
}

}  // namespace

bool CgroupHierarchy::has(std::string_view controller) const {
  const std::vector<std::string> all = split(controllers, ',');
  return std::find(all.begin(), all.end(), controller) != all.end();
}

const CgroupMounts& cgroup_mounts() {
  static const CgroupMounts mounts = find_usable_mounts();
  return mounts;
}

CgroupLayout cgroup_layout() {
  return cgroup_mounts().layout;
}

}  // namespace ctr
