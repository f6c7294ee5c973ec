#include "runtime/capabilities.h"

#include <array>
#include <cerrno>
#include <sys/prctl.h>

#include "base/error.h"
#include "base/text.h"
#include "runtime/spec.h"

namespace ctr {

namespace {

constexpr std::array<std::string_view, 41> kNames = {"CHOWN",
                                                     "DAC_OVERRIDE",
                                                     "DAC_READ_SEARCH",
                                                     "FOWNER",
                                                     "FSETID",
                                                     "KILL",
                                                     "SETGID",
                                                     "SETUID",
                                                     "SETPCAP",
                                                     "LINUX_IMMUTABLE",
                                                     "NET_BIND_SERVICE",
                                                     "NET_BROADCAST",
                                                     "NET_ADMIN",
                                                     "NET_RAW",
                                                     "IPC_LOCK",
                                                     "IPC_OWNER",
                                                     "SYS_MODULE",
                                                     "SYS_RAWIO",
                                                     "SYS_CHROOT",
                                                     "SYS_PTRACE",
                                                     "SYS_PACCT",
                                                     "SYS_ADMIN",
                                                     "SYS_BOOT",
                                                     "SYS_NICE",
                                                     "SYS_RESOURCE",
                                                     "SYS_TIME",
                                                     "SYS_TTY_CONFIG",
                                                     "MKNOD",
                                                     "LEASE",
                                                     "AUDIT_WRITE",
                                                     "AUDIT_CONTROL",
                                                     "SETFCAP",
                                                     "MAC_OVERRIDE",
                                                     "MAC_ADMIN",
                                                     "SYSLOG",
                                                     "WAKE_ALARM",
                                                     "BLOCK_SUSPEND",
                                                     "AUDIT_READ",
                                                     "PERFMON",
                                                     "BPF",
                                                     "CHECKPOINT_RESTORE"};

constexpr int kMaxCapability = 63;

/// A list of --cap-add or --cap-drop.
struct CapabilityList {
  std::uint64_t mask = 0;
  bool is_all = false;
};

CapabilityList parse_list(const std::vector<std::string>& names) {
  CapabilityList list;
  for (const std::string& name : names) {
    if (lower(name) == "all") {
      list.is_all = true;
      continue;
    }
    const auto number = capability_number(name);
    if (!number) throw Error(ErrorKind::Invalid, "unknown capability \"" + name + "\"");
    list.mask |= std::uint64_t{1} << *number;
  }
  return list;
}

}  // namespace

std::optional<int> capability_number(std::string_view name) {
  const std::string wanted = upper(name);
  const std::string_view bare = without_prefix(wanted, "CAP_");
  for (std::size_t number = 0; number < kNames.size(); ++number) {
    if (kNames[number] == bare) return static_cast<int>(number);
  }
  return std::nullopt;
}

std::string capability_name(int number) {
  if (number < 0 || static_cast<std::size_t>(number) >= kNames.size()) return std::to_string(number);
  return "CAP_" + std::string(kNames[static_cast<std::size_t>(number)]);
}

std::vector<std::string> capability_names(std::uint64_t mask) {
  std::vector<std::string> names;
  for (int number = 0; number <= kMaxCapability; ++number) {
    if ((mask >> number & 1) != 0) names.push_back(capability_name(number));
  }
  return names;
}

std::uint64_t all_capabilities() {
  // PR_CAPBSET_READ fails for the first number that the kernel does not know.
  std::uint64_t mask = 0;
  for (int number = 0; number <= kMaxCapability && ::prctl(PR_CAPBSET_READ, number, 0, 0, 0) >= 0; ++number) {
    mask |= std::uint64_t{1} << number;
  }
  return mask;
}

std::uint64_t own_bounding_set() {
  std::uint64_t mask = 0;
  for (int number = 0; number <= kMaxCapability; ++number) {
    const int held = ::prctl(PR_CAPBSET_READ, number, 0, 0, 0);
    if (held < 0) break;
    if (held == 1) mask |= std::uint64_t{1} << number;
  }
  return mask;
}

std::uint64_t tweak_capabilities(std::uint64_t base, const std::vector<std::string>& add,
                                 const std::vector<std::string>& drop) {
  const CapabilityList added = parse_list(add);
  const CapabilityList dropped = parse_list(drop);
  if (added.is_all) return all_capabilities() & ~dropped.mask;
  if (dropped.is_all) return added.mask;
  return (base & ~dropped.mask) | added.mask;
}

CapabilitySets docker_capability_sets(std::uint64_t bounding) {
  return {.bounding = bounding, .effective = bounding, .inheritable = 0, .permitted = bounding, .ambient = 0};
}

}  // namespace ctr
