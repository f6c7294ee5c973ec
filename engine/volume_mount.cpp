#include "engine/volume_mount.h"

#include <netdb.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <map>
#include <memory>

#include "base/error.h"
#include "base/text.h"
#include "runtime/network_address.h"

namespace ctr {
namespace {

struct MountOptions {
  unsigned long flags = 0;
  unsigned long propagation = 0;
  std::string data;
};

const std::map<std::string, std::pair<unsigned long, bool>>& flag_words() {
  static const std::map<std::string, std::pair<unsigned long, bool>> kWords = {
      {"bind", {MS_BIND, true}},          {"rbind", {MS_BIND | MS_REC, true}}, {"ro", {MS_RDONLY, true}},
      {"rw", {MS_RDONLY, false}},         {"nosuid", {MS_NOSUID, true}},       {"suid", {MS_NOSUID, false}},
      {"nodev", {MS_NODEV, true}},        {"dev", {MS_NODEV, false}},          {"noexec", {MS_NOEXEC, true}},
      {"exec", {MS_NOEXEC, false}},       {"noatime", {MS_NOATIME, true}},     {"atime", {MS_NOATIME, false}},
      {"nodiratime", {MS_NODIRATIME, true}}, {"relatime", {MS_RELATIME, true}}, {"strictatime", {MS_STRICTATIME, true}},
      {"sync", {MS_SYNCHRONOUS, true}},   {"async", {MS_SYNCHRONOUS, false}},  {"dirsync", {MS_DIRSYNC, true}},
      {"mand", {MS_MANDLOCK, true}},      {"defaults", {0, true}}};
  return kWords;
}

const std::map<std::string, unsigned long>& propagation_words() {
  static const std::map<std::string, unsigned long> kWords = {
      {"private", MS_PRIVATE}, {"rprivate", MS_PRIVATE | MS_REC}, {"shared", MS_SHARED}, {"rshared", MS_SHARED | MS_REC},
      {"slave", MS_SLAVE},     {"rslave", MS_SLAVE | MS_REC},     {"unbindable", MS_UNBINDABLE}};
  return kWords;
}

/// The kernel wants a number; mount.cifs(8) would look the name up.
std::string with_resolved_address(const std::string& word) {
  const std::string host = word.substr(std::string("addr=").size());
  if (IpAddress::find(host)) return word;
  addrinfo* found = nullptr;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  if (::getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) {
    throw Error(ErrorKind::NotFound, "error resolving passed in network volume address: lookup " + host);
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, ::freeaddrinfo);
  char number[NI_MAXHOST] = {};
  if (::getnameinfo(found->ai_addr, found->ai_addrlen, number, sizeof number, nullptr, 0, NI_NUMERICHOST) != 0) {
    return word;
  }
  return std::string("addr=") + number;
}

MountOptions parse_options(const std::string& text, bool is_network) {
  MountOptions options;
  for (const std::string& word : split(text, ',')) {
    const auto flag = flag_words().find(word);
    const auto propagation = propagation_words().find(word);
    if (word.empty()) continue;
    if (flag != flag_words().end()) {
      options.flags = flag->second.second ? options.flags | flag->second.first : options.flags & ~flag->second.first;
    } else if (propagation != propagation_words().end()) {
      options.propagation |= propagation->second;
    } else {
      const bool is_address = is_network && word.starts_with("addr=");
      options.data += (options.data.empty() ? "" : ",") + (is_address ? with_resolved_address(word) : word);
    }
  }
  return options;
}

std::string option(const StringMap& options, const std::string& key) {
  const auto found = options.find(key);
  return found == options.end() ? std::string() : found->second;
}

}  // namespace

void check_volume_options(const StringMap& options) {
  for (const auto& [key, value] : options) {
    if (key == "size") throw Error(ErrorKind::Invalid, "quota size requested but no quota support");
    if (key != "type" && key != "device" && key != "o") throw Error(ErrorKind::Invalid, "invalid option: \"" + key + "\"");
  }
  if (options.empty()) return;
  for (const char* needed : {"device", "type"}) {
    if (!options.contains(needed)) {
      throw Error(ErrorKind::Invalid, std::string("missing required option: \"") + needed + "\"");
    }
  }
  const std::string& type = options.at("type");
  if (type == "nfs" || type == "nfs4") {
    throw Error(ErrorKind::Unavailable, "volumes of type " + type + " are not supported yet: mount it on the host, and make the "
                                        "volume with type=none, o=bind and the mount's path as device");
  }
}

bool has_volume_mount(const StringMap& options) { return options.contains("device"); }

bool is_mounted(const fs::path& directory) {
  struct stat inside {};
  struct stat parent {};
  check(::stat(directory.c_str(), &inside), "read", directory);
  check(::stat(directory.parent_path().c_str(), &parent), "read", directory.parent_path());
  if (inside.st_dev != parent.st_dev) return true;
  // A bind mount from the same file system shows only in the mount's id.
  struct statx here {};
  struct statx above {};
  check(::statx(AT_FDCWD, directory.c_str(), 0, STATX_BASIC_STATS, &here), "read", directory);
  check(::statx(AT_FDCWD, directory.parent_path().c_str(), 0, STATX_BASIC_STATS, &above), "read", directory);
  return (here.stx_attributes & here.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) != 0;
}

void mount_volume_options(const StringMap& options, const fs::path& directory) {
  const std::string type = option(options, "type");
  const std::string device = option(options, "device");
  const bool is_network = type == "cifs";
  const MountOptions parsed = parse_options(option(options, "o"), is_network);
  const std::string subject = device + " (" + type + ", " + option(options, "o") + ") on " + directory.native();
  const unsigned long first = parsed.flags & (parsed.flags & MS_BIND ? MS_BIND | MS_REC : ~0ul);
  check(::mount(device.c_str(), directory.c_str(), type.c_str(), first, parsed.data.c_str()), "mount", subject);
  try {
    // A bind mount takes its other flags only in a second step.
    if ((parsed.flags & MS_BIND) != 0 && (parsed.flags & ~(MS_BIND | MS_REC)) != 0) {
      check(::mount(nullptr, directory.c_str(), nullptr, (parsed.flags & ~MS_REC) | MS_REMOUNT, nullptr), "mount", subject);
    }
    if (parsed.propagation != 0) {
      check(::mount(nullptr, directory.c_str(), nullptr, parsed.propagation, nullptr), "mount", subject);
    }
  } catch (const Error&) {
    ::umount2(directory.c_str(), MNT_DETACH);
    throw;
  }
}

}  // namespace ctr
