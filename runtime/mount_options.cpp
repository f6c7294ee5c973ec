#include "runtime/mount_options.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <sys/mount.h>

namespace ctr {

namespace {

/// An option that sets and clears bits of the mount; with an "r" in front, of all mounts below it too.
struct Attribute {
  std::string_view name;
  std::uint64_t set;
  std::uint64_t clear;
};

// linux/mount.h has it, glibc 2.36 does not.
constexpr std::uint64_t kNoSymlinkFollow = 0x00200000;

constexpr std::array kAttributes = {
    Attribute{"ro", MOUNT_ATTR_RDONLY, 0},
    Attribute{"rw", 0, MOUNT_ATTR_RDONLY},
    Attribute{"nosuid", MOUNT_ATTR_NOSUID, 0},
    Attribute{"suid", 0, MOUNT_ATTR_NOSUID},
    Attribute{"nodev", MOUNT_ATTR_NODEV, 0},
    Attribute{"dev", 0, MOUNT_ATTR_NODEV},
    Attribute{"noexec", MOUNT_ATTR_NOEXEC, 0},
    Attribute{"exec", 0, MOUNT_ATTR_NOEXEC},
    Attribute{"nodiratime", MOUNT_ATTR_NODIRATIME, 0},
    Attribute{"diratime", 0, MOUNT_ATTR_NODIRATIME},
    // The times are one field, not bits: whoever sets it clears it first.
    Attribute{"noatime", MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME},
    Attribute{"atime", MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME},
    Attribute{"relatime", MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME},
    Attribute{"norelatime", MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME},
    Attribute{"strictatime", MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME},
    Attribute{"nostrictatime", MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME},
    Attribute{"nosymfollow", kNoSymlinkFollow, 0},
    Attribute{"symfollow", 0, kNoSymlinkFollow},
};

struct Propagation {
  std::string_view name;
  unsigned long flag;
};

constexpr std::array kPropagations = {
    Propagation{"shared", MS_SHARED},         Propagation{"rshared", MS_SHARED | MS_REC},
    Propagation{"slave", MS_SLAVE},           Propagation{"rslave", MS_SLAVE | MS_REC},
    Propagation{"private", MS_PRIVATE},       Propagation{"rprivate", MS_PRIVATE | MS_REC},
    Propagation{"unbindable", MS_UNBINDABLE}, Propagation{"runbindable", MS_UNBINDABLE | MS_REC},
};

/// Flags of the superblock that fsconfig takes by name.
constexpr std::array<std::string_view, 7> kSuperblockFlags = {"sync",   "async",    "dirsync",   "mand",
                                                              "nomand", "lazytime", "nolazytime"};
/// What mount(8) understands and the kernel needs nothing done for.
constexpr std::array<std::string_view, 8> kIgnored = {"defaults",   "remount", "loud",  "silent",
                                                      "noiversion", "acl",     "noacl", "iversion"};

const Attribute* find_attribute(std::string_view name) {
  const auto found =
      std::find_if(kAttributes.begin(), kAttributes.end(), [&](const auto& one) { return one.name == name; });
  return found == kAttributes.end() ? nullptr : &*found;
}

void apply(std::uint64_t& set, std::uint64_t& clear, const Attribute& attribute) {
  set = (set & ~attribute.clear) | attribute.set;
  clear = (clear & ~attribute.set) | attribute.clear;
}

bool parse_special(MountOptions& result, std::string_view option) {
  if (option == "bind" || option == "rbind") {
    result.is_bind = true;
    result.is_recursive_bind = option == "rbind";
  } else if (option == "idmap" || option == "ridmap") {
    result.is_idmapped = true;
    result.is_recursively_idmapped = option == "ridmap";
  } else if (option == "tmpcopyup") {
    result.copies_up = true;
  } else {
    return std::find(kIgnored.begin(), kIgnored.end(), option) != kIgnored.end();
  }
  return true;
}

bool parse_attribute(MountOptions& result, std::string_view option) {
  if (const Attribute* attribute = find_attribute(option)) {
    apply(result.set, result.clear, *attribute);
    return true;
  }
  if (!option.starts_with('r')) return false;
  const Attribute* attribute = find_attribute(option.substr(1));
  if (attribute == nullptr) return false;
  apply(result.recursive_set, result.recursive_clear, *attribute);
  return true;
}

}  // namespace

MountOptions parse_mount_options(const std::vector<std::string>& options) {
  MountOptions result;
  for (const std::string& option : options) {
    if (option.empty() || parse_special(result, option) || parse_attribute(result, option)) continue;
    const auto propagation =
        std::find_if(kPropagations.begin(), kPropagations.end(), [&](const auto& one) { return one.name == option; });
    if (propagation != kPropagations.end()) {
      result.propagation = propagation->flag;
    } else {
      result.data.push_back(option);
    }
  }
  return result;
}

std::vector<std::string> known_mount_options() {
  std::vector<std::string> names = {"bind", "rbind", "idmap", "ridmap", "tmpcopyup"};
  for (const Attribute& attribute : kAttributes) {
    names.emplace_back(attribute.name);
    names.push_back("r" + std::string(attribute.name));
  }
  for (const Propagation& propagation : kPropagations) names.emplace_back(propagation.name);
  names.insert(names.end(), kSuperblockFlags.begin(), kSuperblockFlags.end());
  names.insert(names.end(), kIgnored.begin(), kIgnored.end());
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

}  // namespace ctr
