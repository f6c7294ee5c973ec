// Reading how much a group uses, from v1 and v2 files into one form.
#include <algorithm>
#include <limits>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "runtime/cgroup.h"
#include "runtime/cgroup_layout.h"

namespace ctr {

namespace {

constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint64_t kMaxStatFile = 16 * kMiB;

std::string read_stat(const fs::path& file) {
  try {
    return find_file(file, kMaxStatFile).value_or("");
  } catch (const Error&) {
    // Some files fail to be read when their controller is off, or the group is going away.
    return {};
  }
}

/// One number, "max", or nothing (0).
std::uint64_t read_number(const fs::path& file) {
  const std::string text = read_stat(file);
  if (trim(text) == "max") return kNoLimit;
  return parse_uint(trim(text)).value_or(0);
}

std::map<std::string, std::uint64_t> read_pairs(const fs::path& file) {
  std::map<std::string, std::uint64_t> pairs;
  for (const std::string& line : split(read_stat(file), '\n')) {
    const auto pair = cut(line, ' ');
    if (!pair) continue;
    if (const auto value = parse_uint(trim(pair->second))) pairs[pair->first] = *value;
  }
  return pairs;
}

std::uint64_t value_of(const std::map<std::string, std::uint64_t>& pairs, const std::string& key) {
  const auto found = pairs.find(key);
  return found == pairs.end() ? 0 : found->second;
}

CgroupStats::BlockIo& block_of(std::vector<CgroupStats::BlockIo>& all, std::string_view device) {
  const auto numbers = cut(device, ':');
  const std::uint64_t major = numbers ? parse_uint(numbers->first).value_or(0) : 0;
  const std::uint64_t minor = numbers ? parse_uint(numbers->second).value_or(0) : 0;
  for (CgroupStats::BlockIo& one : all) {
    if (one.major == major && one.minor == minor) return one;
  }
  return all.emplace_back(CgroupStats::BlockIo{major, minor, 0, 0, 0, 0});
}

/// Lines like "8:0 Read 4096".
void read_v1_block(const fs::path& file, std::uint64_t CgroupStats::BlockIo::*read,
                   std::uint64_t CgroupStats::BlockIo::*write, std::vector<CgroupStats::BlockIo>& all) {
  for (const std::string& line : split(read_stat(file), '\n')) {
    const std::vector<std::string> words = split_words(line);
    if (words.size() != 3) continue;
    const std::uint64_t value = parse_uint(words[2]).value_or(0);
    if (words[1] == "Read") block_of(all, words[0]).*read += value;
    if (words[1] == "Write") block_of(all, words[0]).*write += value;
  }
}

/// Lines like "8:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0".
void read_v2_block(const fs::path& file, std::vector<CgroupStats::BlockIo>& all) {
  for (const std::string& line : split(read_stat(file), '\n')) {
    const std::vector<std::string> words = split_words(line);
    for (std::size_t index = 1; index < words.size(); ++index) {
      const auto pair = cut(words[index], '=');
      if (!pair) continue;
      CgroupStats::BlockIo& block = block_of(all, words[0]);
      const std::uint64_t value = parse_uint(pair->second).value_or(0);
      if (pair->first == "rbytes") block.read_bytes = value;
      if (pair->first == "wbytes") block.write_bytes = value;
      if (pair->first == "rios") block.read_operations = value;
      if (pair->first == "wios") block.write_operations = value;
    }
  }
}

void read_hugepages(const fs::path& directory, std::string_view usage_suffix, CgroupStats& stats) {
  for (const std::string& name : list_directory(directory)) {
    if (!name.starts_with("hugetlb.") || !name.ends_with(usage_suffix)) continue;
    const std::string size = name.substr(8, name.size() - 8 - usage_suffix.size());
    if (size.find('.') != std::string::npos) continue;
    CgroupStats::Hugepages pages;
    pages.page_size = size;
    pages.usage = read_number(directory / name);
    pages.max_usage = read_number(directory / ("hugetlb." + size + ".max_usage_in_bytes"));
    pages.failures = read_number(directory / ("hugetlb." + size + ".failcnt"));
    stats.hugepages.push_back(pages);
  }
}

void read_v1_cpu(const Cgroup& group, CgroupStats& stats) {
  if (const auto directory = group.directory_of("cpuacct")) {
    stats.cpu_usage_ns = read_number(*directory / "cpuacct.usage");
    stats.cpu_user_ns = read_number(*directory / "cpuacct.usage_user");
    stats.cpu_system_ns = read_number(*directory / "cpuacct.usage_sys");
    for (const std::string& word : split_words(read_stat(*directory / "cpuacct.usage_percpu"))) {
      stats.cpu_per_processor_ns.push_back(parse_uint(word).value_or(0));
    }
  }
  if (const auto directory = group.directory_of("cpu")) {
    const auto pairs = read_pairs(*directory / "cpu.stat");
    stats.total_periods = value_of(pairs, "nr_periods");
    stats.throttled_periods = value_of(pairs, "nr_throttled");
    stats.throttled_ns = value_of(pairs, "throttled_time");
  }
}

void read_v1_memory(const fs::path& directory, CgroupStats& stats) {
  stats.memory_usage = read_number(directory / "memory.usage_in_bytes");
  stats.memory_max_usage = read_number(directory / "memory.max_usage_in_bytes");
  stats.memory_failures = read_number(directory / "memory.failcnt");
  stats.memory_limit = read_number(directory / "memory.limit_in_bytes");
  // "No limit" is the largest multiple of a page.
  if (stats.memory_limit >= kNoLimit / 2 - 65536) stats.memory_limit = kNoLimit;
  const std::uint64_t with_swap = read_number(directory / "memory.memsw.usage_in_bytes");
  stats.swap_usage = with_swap > stats.memory_usage ? with_swap - stats.memory_usage : 0;
  stats.swap_limit = read_number(directory / "memory.memsw.limit_in_bytes");
  if (stats.swap_limit >= kNoLimit / 2 - 65536) stats.swap_limit = kNoLimit;
  stats.memory_stat = read_pairs(directory / "memory.stat");
}

void read_v1(const Cgroup& group, CgroupStats& stats) {
  read_v1_cpu(group, stats);
  if (const auto directory = group.directory_of("memory")) read_v1_memory(*directory, stats);
  if (const auto directory = group.directory_of("pids")) {
    stats.pids_current = read_number(*directory / "pids.current");
    stats.pids_limit = read_number(*directory / "pids.max");
  }
  if (const auto directory = group.directory_of("blkio")) {
    using Block = CgroupStats::BlockIo;
    read_v1_block(*directory / "blkio.throttle.io_service_bytes_recursive", &Block::read_bytes, &Block::write_bytes,
                  stats.block_io);
    read_v1_block(*directory / "blkio.throttle.io_serviced_recursive", &Block::read_operations,
                  &Block::write_operations, stats.block_io);
  }
  if (const auto directory = group.directory_of("hugetlb")) read_hugepages(*directory, ".usage_in_bytes", stats);
}

void read_v2(const fs::path& directory, CgroupStats& stats) {
  const auto cpu = read_pairs(directory / "cpu.stat");
  stats.cpu_usage_ns = value_of(cpu, "usage_usec") * 1000;
  stats.cpu_user_ns = value_of(cpu, "user_usec") * 1000;
  stats.cpu_system_ns = value_of(cpu, "system_usec") * 1000;
  stats.total_periods = value_of(cpu, "nr_periods");
  stats.throttled_periods = value_of(cpu, "nr_throttled");
  stats.throttled_ns = value_of(cpu, "throttled_usec") * 1000;
  stats.memory_usage = read_number(directory / "memory.current");
  stats.memory_max_usage = read_number(directory / "memory.peak");
  stats.memory_limit = path_exists(directory / "memory.max") ? read_number(directory / "memory.max") : kNoLimit;
  stats.memory_failures = value_of(read_pairs(directory / "memory.events"), "max");
  stats.swap_usage = read_number(directory / "memory.swap.current");
  stats.swap_limit = read_number(directory / "memory.swap.max");
  stats.memory_stat = read_pairs(directory / "memory.stat");
  stats.pids_current = read_number(directory / "pids.current");
  stats.pids_limit = read_number(directory / "pids.max");
  read_v2_block(directory / "io.stat", stats.block_io);
  read_hugepages(directory, ".current", stats);
}

}  // namespace

CgroupStats Cgroup::stats() const {
  CgroupStats stats;
  stats.memory_limit = kNoLimit;
  const auto unified = directory_of("");
  if (unified && cgroup_layout() == CgroupLayout::V2) {
    read_v2(*unified, stats);
  } else {
    read_v1(*this, stats);
  }
  if (stats.pids_limit == kNoLimit) stats.pids_limit = 0;
  stats.oom_kills = oom_kills();
  return stats;
}

}  // namespace ctr
