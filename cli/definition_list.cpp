#include "cli/definition_list.h"

#include <algorithm>

namespace ctr {

std::string definition_list(const std::vector<std::pair<std::string, std::string>>& lines, const std::string& indent) {
  std::size_t width = 0;
  for (const auto& [name, value] : lines) width = std::max(width, name.size());
  std::string text;
  for (const auto& [name, value] : lines)
    text.append(indent).append(name).append(":").append(width - name.size() + 1, ' ').append(value).append("\n");
  return text;
}

}  // namespace ctr
