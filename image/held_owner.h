// Owners that a process cannot give: with one user id alone every file is that user's. What a layer says is kept in an
// attribute of the file then (user.ctr.owner, "uid:gid"), which overlay copies up with the file, and which no tar and no
// container's image ever holds. Links and devices have no attributes: theirs is root.
#pragma once

#include <cstdint>
#include <string>
#include <sys/stat.h>

namespace ctr {

inline constexpr const char* kHeldOwnerXattr = "user.ctr.owner";

struct FileOwner {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
};

/// Whether this process can give files to others at all. Then nothing is held.
bool can_give_owners();

/// Notes the owner of an open file or directory; where the file system has no attributes, nowhere.
void hold_owner(int file, FileOwner owner);

/// Who a file of a layer or of a root filesystem belongs to. `path` is not followed.
FileOwner owner_of(const std::string& path, const struct stat& info);

}  // namespace ctr
