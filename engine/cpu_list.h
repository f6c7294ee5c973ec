// Lists of processors or memory nodes as cpusets write them: "0-3,7".
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ctr {

/// Sorted, each once; nothing for malformed text.
std::optional<std::vector<int>> parse_cpu_list(std::string_view text);
std::string format_cpu_list(const std::vector<int>& cpus);

/// The machine's processors that are online.
std::vector<int> usable_cpus();

}  // namespace ctr
