#include "engine/cpu_list.h"

#include <set>

#include "base/file.h"
#include "base/text.h"

namespace ctr {
namespace {
constexpr std::int64_t kHighestCpu = 8191;
}

std::optional<std::vector<int>> parse_cpu_list(std::string_view text) {
  std::set<int> cpus;
  for (const std::string& part : split(trim(text), ',')) {
    const auto range = cut(part, '-');
    const std::optional<std::int64_t> first = parse_int(range ? range->first : part);
    const std::optional<std::int64_t> last = range ? parse_int(range->second) : first;
    if (!first || !last || *first < 0 || *last < *first || *last > kHighestCpu) return std::nullopt;
    for (std::int64_t cpu = *first; cpu <= *last; ++cpu) cpus.insert(static_cast<int>(cpu));
  }
  return std::vector<int>(cpus.begin(), cpus.end());
}

std::string format_cpu_list(const std::vector<int>& cpus) {
  std::string text;
  for (std::size_t i = 0; i < cpus.size();) {
    std::size_t end = i;
    while (end + 1 < cpus.size() && cpus[end + 1] == cpus[end] + 1) ++end;
    if (!text.empty()) text += ",";
    text += std::to_string(cpus[i]);
    if (end > i) text += "-" + std::to_string(cpus[end]);
    i = end + 1;
  }
  return text;
}

std::vector<int> usable_cpus() {
  const std::optional<std::string> online = find_file("/sys/devices/system/cpu/online");
  const std::optional<std::vector<int>> cpus = online ? parse_cpu_list(*online) : std::nullopt;
  return cpus ? *cpus : std::vector<int>{0};
}

}  // namespace ctr
