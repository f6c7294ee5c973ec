#include "engine/abilities.h"

#include <linux/seccomp.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/mount.h"
#include "base/process.h"
#include "engine/emulation.h"
#include "image/platform.h"
#include "image/store.h"
#include "runtime/cgroup.h"
#include "runtime/sandbox.h"
#include "runtime/user_session.h"

namespace ctr {
namespace {

Ability yes(std::string name, std::string how = {}) { return {std::move(name), true, std::move(how)}; }
Ability no(std::string name, std::string why) { return {std::move(name), false, std::move(why)}; }

/// Runs a probe; what it throws is why not.
template <typename Probe>
Ability ability(const std::string& name, Probe&& probe) {
  try {
    return yes(name, probe());
  } catch (const Error& error) {
    return no(name, error.what());
  }
}

/// Mounts an overlay of two empty directories in the store.
Ability overlay_ability(Context& context) {
  return ability("overlay root filesystems", [&] {
    const TempDirectory directory(context.store().root(), "probe");
    for (const char* name : {"lower", "upper", "work"}) make_directories(directory.path() / name);
    OverlayMount overlay;
    overlay.lowers = {directory.path() / "lower"};
    overlay.upper = directory.path() / "upper";
    overlay.work = directory.path() / "work";
    overlay.is_userxattr = overlay_xattrs_of_this_process() == OverlayXattrs::User;
    try {
      mount_overlay_detached(overlay);
      return std::string("detached mounts");
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::Unavailable) throw;
    }
    mount_overlay(overlay);
    return std::string("by mount(2): this kernel has no lowerdir+ (6.5)");
  });
}

Ability erofs_ability(Context& context) {
  const std::string& why = why_no_erofs(context.store().root());
  if (!why.empty()) return no("layers as EROFS images", why);
  const bool is_used = context.store().layers().form() == LayerForm::Erofs;
  return yes("layers as EROFS images", is_used ? "mounted from files" : "possible; layer-format does not ask for it");
}

Ability namespace_ability() {
  std::string missing;
  for (const char* name : {"pid", "net", "mnt", "ipc", "uts", "cgroup", "time"}) {
    if (!path_exists(fs::path("/proc/self/ns") / name)) missing += std::string(missing.empty() ? "" : ", ") + name;
  }
  if (missing.empty()) return yes("namespaces");
  return no("namespaces", "the kernel lacks: " + missing);
}

Ability cgroup_ability() {
  switch (cgroup_layout()) {
    case CgroupLayout::None: return no("resource limits", "no cgroup hierarchy is mounted");
    case CgroupLayout::V1: return yes("resource limits", "cgroup v1");
    case CgroupLayout::V2: return yes("resource limits", "cgroup v2");
    case CgroupLayout::Hybrid: return yes("resource limits", "cgroup v1, hybrid");
  }
  return no("resource limits", "unknown");
}

Ability seccomp_ability() {
  const std::uint32_t action = SECCOMP_RET_ERRNO;
  if (::syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0) return yes("seccomp filters");
  return no("seccomp filters", std::string("the kernel refuses: ") + std::strerror(errno));
}

Ability network_ability(const Context& context) {
  if (!no_containers_reason().empty()) return no("bridge networks", no_containers_reason());
  if (context.paths().is_rootless) {
    for (const char* program : {"pasta", "slirp4netns"}) {
      if (find_program(program)) return yes("bridge networks", std::string("in the user's session, with ") + program);
    }
    return no("bridge networks",
              "containers reach only each other: neither pasta nor slirp4netns is installed (packages passt, slirp4netns)");
  }
  return ability("bridge networks", [] {
    const std::optional<std::string> forwarding = find_file("/proc/sys/net/ipv4/ip_forward");
    if (!forwarding) throw Error(ErrorKind::Unavailable, "/proc/sys/net/ipv4/ip_forward is not readable");
    return std::string("nftables table ctr");
  });
}

Ability emulation_ability(const char* platform) {
  const std::string name = std::string("programs for ") + platform;
  const Platform wanted = parse_platform(platform);
  if (platform_score(host_platform(), wanted) > 0) return yes(name, "this machine's own");
  return ability(name, [&] {
    const bool is_registered = execution_of(wanted) == Execution::Registered;
    return std::string(is_registered ? "qemu-user, registered in binfmt_misc" : "qemu-user, in a user namespace");
  });
}

/// For whoever runs this; root is told what its users would meet.
Ability rootless_ability(const Context& context) {
  if (!no_containers_reason().empty()) return no("rootless", no_containers_reason());
  if (!context.paths().is_rootless) {
    const std::optional<std::string> limit = find_file("/proc/sys/user/max_user_namespaces");
    if (limit && limit->starts_with("0")) return no("rootless", "user.max_user_namespaces is 0");
    const std::optional<std::string> apparmor = find_file("/proc/sys/kernel/apparmor_restrict_unprivileged_userns");
    if (apparmor && apparmor->starts_with("1") && !path_exists("/etc/apparmor.d/ctr")) {
      return no("rootless", "kernel.apparmor_restrict_unprivileged_userns is 1: scripts/install adds a profile");
    }
    if (!find_program("newuidmap")) return yes("rootless", "with one user id: newuidmap (package uidmap) is missing");
    return yes("rootless");
  }
  const std::string single = single_id_reason();
  return yes("rootless", single.empty() ? "with subordinate ids" : "with one user id: " + single);
}

}  // namespace

std::vector<Ability> probe_abilities(Context& context) {
  return {overlay_ability(context),       erofs_ability(context),
          namespace_ability(),            cgroup_ability(),
          seccomp_ability(),              network_ability(context),
          emulation_ability("linux/amd64"), emulation_ability("linux/arm64"),
          rootless_ability(context)};
}

}  // namespace ctr
