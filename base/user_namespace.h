// What this process may do with ids: whether it lives in the machine's first user namespace, and which ids it knows.
#pragma once

#include <cstdint>
#include <vector>

namespace ctr {

/// Whether user ids mean what they say: no user namespace is between this process and the machine.
bool is_in_first_user_namespace();

/// Whether the effective set holds it (CAP_SYS_ADMIN and so on). In a user namespace that says little about the machine.
bool has_capability(int capability);

/// Whether setgroups may be called: not in a user namespace whose map was written without a right to.
bool may_call_setgroups();

/// Says to this process and its children that they run as root in a user's own namespace (runtime/user_session.h), and
/// whose: $_CTR_USER.
void mark_as_user_session(std::uint32_t uid);
/// Whether that has happened: user ids are then those of the namespace.
bool is_user_session();
/// Who runs this: the user outside of the namespace that mark_as_user_session tells of.
std::uint32_t invoking_user();

/// One line of an id map: `count` ids from `inside` on are, in the namespace around this one, those from `outside` on.
struct IdMapLine {
  std::uint32_t inside = 0;
  std::uint32_t outside = 0;
  std::uint32_t count = 0;
};
std::vector<IdMapLine> own_user_map();
std::vector<IdMapLine> own_group_map();

/// Whether this process can be or make files of that user and that group.
bool is_mapped_user(std::uint32_t uid);
bool is_mapped_group(std::uint32_t gid);

}  // namespace ctr
