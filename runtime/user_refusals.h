// Words for what a user may not do, each with the file or sysctl that says so and the line that mends it; and the files
// that give users their further ids.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/file.h"

namespace ctr {

struct SubordinateRange {
  std::uint32_t first = 0;
  std::uint32_t count = 0;
};

struct SubordinateIds {
  std::vector<SubordinateRange> uids;
  std::vector<SubordinateRange> gids;
};

/// The lines of such a file (name:first:count) that speak of this user, by name or number. Lines that are broken, or
/// whose ids would not fit, are passed over, as newuidmap does.
std::vector<SubordinateRange> parse_subordinate_file(const std::string& text, const std::string& name, std::uint32_t uid);
/// From /etc/subuid and /etc/subgid.
SubordinateIds subordinate_ids(std::uint32_t uid);
std::string user_name(std::uint32_t uid);

/// Why the user has their own id alone; empty when there is a range and a program to use it.
std::string why_single_id(std::uint32_t uid);

/// The system files that decide, below `root` ("/" but for tests).
std::string why_no_user_namespace(const std::string& step, int error, const fs::path& root = "/");

}  // namespace ctr
