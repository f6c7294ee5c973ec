#include "runtime/user_lookup.h"

#include <algorithm>
#include <fcntl.h>
#include <optional>
#include <sys/stat.h>

#include "base/error.h"
#include "base/rooted_path.h"
#include "base/text.h"

namespace ctr {

namespace {

constexpr std::uint64_t kMaxDatabaseSize = 4 * kMiB;
constexpr std::size_t kMaxGroups = 65536;

/// The content of a regular file inside the root; empty for anything else. A FIFO must not hold us up.
std::string read_database(int root, const char* path) {
  const auto file = find_in_root(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (!file) return {};
  struct stat status {};
  check(::fstat(file->get(), &status), "read", path);
  if (!S_ISREG(status.st_mode))
    throw Error(ErrorKind::Invalid, std::string(path) + " of the image is not a regular file");
  return read_fd(file->get(), kMaxDatabaseSize, path);
}

std::optional<std::uint32_t> parse_id(std::string_view text) {
  const auto id = parse_uint(text);
  if (!id || *id > 0xFFFFFFFEu) return std::nullopt;
  return static_cast<std::uint32_t>(*id);
}

/// Calls `visit` with the fields of each line that has at least `count`, until it returns false.
template <typename Visit>
void for_each_entry(std::string_view content, std::size_t count, Visit visit) {
  while (!content.empty()) {
    const std::size_t end = content.find('\n');
    const std::string_view line = content.substr(0, end);
    content.remove_prefix(end == std::string_view::npos ? content.size() : end + 1);
    if (line.empty() || line[0] == '#') continue;
    const std::vector<std::string> fields = split(line, ':');
    if (fields.size() >= count && !visit(fields)) return;
  }
}

struct PasswdEntry {
  std::string name;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::string home;
};

template <typename Matches>
std::optional<PasswdEntry> find_user(const std::string& passwd, Matches matches) {
  std::optional<PasswdEntry> found;
  for_each_entry(passwd, 4, [&](const std::vector<std::string>& fields) {
    const auto uid = parse_id(fields[2]);
    const auto gid = parse_id(fields[3]);
    if (!uid || !gid) return true;
    PasswdEntry entry{fields[0], *uid, *gid, fields.size() > 5 ? fields[5] : std::string()};
    if (!matches(entry)) return true;
    found = std::move(entry);
    return false;
  });
  return found;
}

std::optional<std::uint32_t> find_group(const std::string& group, std::string_view name) {
  std::optional<std::uint32_t> found;
  for_each_entry(group, 3, [&](const std::vector<std::string>& fields) {
    if (fields[0] != name) return true;
    found = parse_id(fields[2]);
    return !found.has_value();
  });
  return found;
}

/// The groups that list the user as a member.
std::vector<std::uint32_t> groups_of(const std::string& group, const std::string& user) {
  std::vector<std::uint32_t> gids;
  for_each_entry(group, 4, [&](const std::vector<std::string>& fields) {
    const std::vector<std::string> members = split(fields[3], ',');
    const auto gid = parse_id(fields[2]);
    if (gid && std::find(members.begin(), members.end(), user) != members.end()) gids.push_back(*gid);
    return gids.size() < kMaxGroups;
  });
  return gids;
}

void add_group(std::vector<std::uint32_t>& gids, std::uint32_t gid) {
  if (std::find(gids.begin(), gids.end(), gid) == gids.end()) gids.push_back(gid);
}

std::uint32_t require_group(const UserDatabase& database, const std::string& name) {
  // A name that is a number is looked up as a name first, as Docker does.
  if (const auto gid = find_group(database.group, name)) return *gid;
  if (const auto gid = parse_id(name)) return *gid;
  throw Error(ErrorKind::NotFound, "unable to find group " + name + ": no matching entries in group file");
}

void apply_user(const UserDatabase& database, const std::string& name, ResolvedUser& user, std::string& found_name) {
  auto entry = find_user(database.passwd, [&](const PasswdEntry& one) { return one.name == name; });
  const auto uid = parse_id(name);
  if (!entry && uid) entry = find_user(database.passwd, [&](const PasswdEntry& one) { return one.uid == *uid; });
  if (entry) {
    user.uid = entry->uid;
    user.gid = entry->gid;
    if (!entry->home.empty()) user.home = entry->home;
    found_name = entry->name;
  } else if (uid) {
    user.uid = *uid;
  } else {
    throw Error(ErrorKind::NotFound, "unable to find user " + name + ": no matching entries in passwd file");
  }
}

}  // namespace

UserDatabase read_user_database(int root) {
  return {read_database(root, "etc/passwd"), read_database(root, "etc/group")};
}

ResolvedUser resolve_user(const UserDatabase& database, std::string_view user, const std::vector<std::string>& groups) {
  const auto parts = cut(user, ':');
  const std::string name = parts ? parts->first : std::string(user);
  const std::string group = parts ? parts->second : std::string();
  ResolvedUser result;
  std::string found_name;
  apply_user(database, name.empty() ? "0" : name, result, found_name);
  if (!group.empty()) {
    result.gid = require_group(database, group);
  } else if (!found_name.empty()) {
    for (const std::uint32_t gid : groups_of(database.group, found_name)) add_group(result.additional_gids, gid);
  }
  // The primary group is listed too, so that a program that drops only supplementary groups behaves as expected.
  for (const std::string& extra : groups) add_group(result.additional_gids, require_group(database, extra));
  if (std::find(result.additional_gids.begin(), result.additional_gids.end(), result.gid) ==
      result.additional_gids.end()) {
    result.additional_gids.insert(result.additional_gids.begin(), result.gid);
  }
  return result;
}

std::string home_of(const UserDatabase& database, std::uint32_t uid) {
  const auto entry = find_user(database.passwd, [&](const PasswdEntry& one) { return one.uid == uid; });
  return entry && !entry->home.empty() ? entry->home : "/";
}

}  // namespace ctr
