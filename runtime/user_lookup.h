// Docker's USER syntax against the /etc/passwd and /etc/group of a root filesystem that somebody else filled. The files
// are opened inside that root only, must be regular, and are read up to a limit; odd lines are skipped.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace ctr {

struct ResolvedUser {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::vector<std::uint32_t> additional_gids;
  /// From passwd; "/" when the user has no entry there.
  std::string home = "/";
};

/// The content of /etc/passwd and /etc/group; empty where there is none.
struct UserDatabase {
  std::string passwd;
  std::string group;
};

/// `root` is a directory descriptor of the root filesystem (a detached mount or /proc/PID/root will do).
UserDatabase read_user_database(int root);

/// `user` is "", "name", "uid", "name:group", "uid:gid" and mixtures; `groups` are --group-add names or numbers.
/// A user without ":group" gets its primary and its supplementary groups, with one only that group, as Docker does.
/// Throws NotFound: "unable to find user NAME: no matching entries in passwd file".
ResolvedUser resolve_user(const UserDatabase& database, std::string_view user, const std::vector<std::string>& groups);

/// The home directory of a numeric user, "/" when unknown.
std::string home_of(const UserDatabase& database, std::uint32_t uid);

}  // namespace ctr
