// "Name:   value" lines, the values below each other one blank behind the longest name, as Docker's inspect commands
// print them.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace ctr {

/// Each line begins with `indent`. Names get a colon.
std::string definition_list(const std::vector<std::pair<std::string, std::string>>& lines, const std::string& indent = {});

}  // namespace ctr
