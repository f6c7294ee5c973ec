#include "runtime/user_refusals.h"

#include <pwd.h>

#include <cerrno>
#include <cstring>

#include "base/process.h"
#include "base/text.h"

namespace ctr {
namespace {

constexpr std::uint64_t kFileLimit = 16 * kMiB;
constexpr std::uint64_t kMostIds = 1ULL << 32;
constexpr std::size_t kMostRanges = 64;

bool has_value(const fs::path& file, char first) {
  const auto text = find_file(file, 4096);
  return text && text->starts_with(first);
}

std::string set_sysctl(const std::string& assignment) {
  return "as root: sysctl -w " + assignment + " (and for the next boot: echo " + assignment +
         " >/etc/sysctl.d/60-ctr.conf)";
}

}  // namespace

std::vector<SubordinateRange> parse_subordinate_file(const std::string& text, const std::string& name,
                                                     std::uint32_t uid) {
  std::vector<SubordinateRange> ranges;
  std::uint64_t total = 1;
  for (const std::string& line : split(text, '\n')) {
    const std::vector<std::string> fields = split(std::string(trim(line)), ':');
    if (fields.size() != 3 || (fields[0] != name && fields[0] != std::to_string(uid))) continue;
    const auto first = parse_uint(fields[1]);
    const auto count = parse_uint(fields[2]);
    if (!first || !count || *count == 0 || *first >= kMostIds || *count >= kMostIds - *first) continue;
    if (total + *count >= kMostIds || ranges.size() == kMostRanges) break;
    total += *count;
    ranges.push_back({static_cast<std::uint32_t>(*first), static_cast<std::uint32_t>(*count)});
  }
  return ranges;
}

std::string user_name(std::uint32_t uid) {
  const passwd* entry = ::getpwuid(uid);
  return entry != nullptr ? entry->pw_name : std::to_string(uid);
}

SubordinateIds subordinate_ids(std::uint32_t uid) {
  const std::string name = user_name(uid);
  return {parse_subordinate_file(find_file("/etc/subuid", kFileLimit).value_or(""), name, uid),
          parse_subordinate_file(find_file("/etc/subgid", kFileLimit).value_or(""), name, uid)};
}

std::string why_single_id(std::uint32_t uid) {
  if (!find_program("newuidmap") || !find_program("newgidmap")) {
    return "newuidmap is missing; as root: apt-get install uidmap";
  }
  const SubordinateIds ids = subordinate_ids(uid);
  if (!ids.uids.empty() && !ids.gids.empty()) return {};
  const std::string name = user_name(uid);
  const bool has_uids = !ids.uids.empty();
  return std::string(has_uids ? "/etc/subgid" : "/etc/subuid") + " gives user " + name +
         " no range; as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 " + name;
}

std::string why_no_user_namespace(const std::string& step, int error, const fs::path& root) {
  const fs::path sysctls = root / "proc/sys";
  const std::string start = "cannot " + step + ": ";
  const auto most = find_file(sysctls / "user/max_user_namespaces", 64);
  if (most && trim(*most) == "0") {
    return start + "user.max_user_namespaces is 0; " + set_sysctl("user.max_user_namespaces=15000");
  }
  if (has_value(sysctls / "kernel/unprivileged_userns_clone", '0')) {
    return start + "kernel.unprivileged_userns_clone is 0; " + set_sysctl("kernel.unprivileged_userns_clone=1");
  }
  if (has_value(sysctls / "kernel/apparmor_restrict_unprivileged_userns", '1')) {
    return start + "kernel.apparmor_restrict_unprivileged_userns is 1 and no AppArmor profile lets ctr pass; as root: "
                   "scripts/install, which adds the profile /etc/apparmor.d/ctr, or " +
           set_sysctl("kernel.apparmor_restrict_unprivileged_userns=0");
  }
  if (error == ENOSPC) {
    return start + "all that user.max_user_namespaces allows are in use; " +
           set_sysctl("user.max_user_namespaces=15000");
  }
  if (error == EPERM || error == EACCES) {
    return start + std::strerror(error) +
           "; inside a container its seccomp profile forbids it: allow it in the pod with securityContext: "
           "{seccompProfile: {type: Unconfined}, appArmorProfile: {type: Unconfined}}, in docker run with --security-opt "
           "seccomp=unconfined";
  }
  return start + std::strerror(error);
}

}  // namespace ctr
