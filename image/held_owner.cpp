#include "image/held_owner.h"

#include <linux/capability.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/text.h"
#include "base/user_namespace.h"

namespace ctr {

namespace {

bool probe() {
  if (!has_capability(CAP_CHOWN)) return false;
  const std::vector<IdMapLine> users = own_user_map();
  return users.size() > 1 || (users.size() == 1 && users.front().count > 1);
}

}  // namespace

bool can_give_owners() {
  static const bool can = probe();
  return can;
}

void hold_owner(int file, FileOwner owner) {
  const std::string text = std::to_string(owner.uid) + ":" + std::to_string(owner.gid);
  (void)::fsetxattr(file, kHeldOwnerXattr, text.data(), text.size(), 0);
}

FileOwner owner_of(const std::string& path, const struct stat& info) {
  if (can_give_owners()) return {info.st_uid, info.st_gid};
  char text[32];
  const ssize_t size = ::lgetxattr(path.c_str(), kHeldOwnerXattr, text, sizeof text);
  if (size > 0) {
    const auto pair = cut(std::string(text, static_cast<std::size_t>(size)), ':');
    const auto uid = pair ? parse_uint(pair->first) : std::nullopt;
    const auto gid = pair ? parse_uint(pair->second) : std::nullopt;
    if (uid && gid) return {static_cast<std::uint32_t>(*uid), static_cast<std::uint32_t>(*gid)};
  }
  // Our own files are root's.
  return {info.st_uid == ::geteuid() ? 0 : info.st_uid, info.st_gid == ::getegid() ? 0 : info.st_gid};
}

}  // namespace ctr
