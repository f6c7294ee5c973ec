// update and events: limits of a running container, and what it uses.
#include <limits>
#include <poll.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "runtime/oci_commands.h"
#include "runtime/oci_flags.h"

namespace ctr {

namespace {

constexpr std::uint64_t kMaxInput = kMiB;

const std::vector<OciFlag>& update_flags() {
  using enum OciFlag::Kind;
  static const std::vector<OciFlag> flags = {
      {"resources,r", Value},     {"blkio-weight", Value},       {"cpu-period", Value},    {"cpu-quota", Value},
      {"cpu-burst", Value},       {"cpu-share", Value},          {"cpu-rt-period", Value}, {"cpu-rt-runtime", Value},
      {"cpuset-cpus", Value},     {"cpuset-mems", Value},        {"kernel-memory", Value}, {"kernel-memory-tcp", Value},
      {"memory", Value},          {"memory-reservation", Value}, {"memory-swap", Value},   {"pids-limit", Value},
      {"l3-cache-schema", Value}, {"mem-bw-schema", Value},      {"cpu-idle", Value}};
  return flags;
}

std::optional<std::int64_t> size_of(const OciFlags& flags, std::string_view name) {
  const auto text = flags.value(name);
  if (!text) return std::nullopt;
  if (*text == "-1") return -1;
  const auto size = parse_size(*text);
  if (!size) throw Error(ErrorKind::Invalid, "invalid size for --" + std::string(name) + ": " + json_quote(*text));
  return size;
}

std::optional<std::uint64_t> unsigned_of(const OciFlags& flags, std::string_view name) {
  const auto number = flags.number(name);
  if (!number) return std::nullopt;
  if (*number < 0) throw Error(ErrorKind::Invalid, "--" + std::string(name) + " is negative");
  return static_cast<std::uint64_t>(*number);
}

ResourcesSpec resources_from_flags(const OciFlags& flags) {
  ResourcesSpec resources;
  if (const auto weight = unsigned_of(flags, "blkio-weight")) {
    if (*weight > 1000) throw Error(ErrorKind::Invalid, "--blkio-weight is above 1000");
    resources.block_io.weight = static_cast<std::uint16_t>(*weight);
  }
  resources.cpu.period = unsigned_of(flags, "cpu-period");
  resources.cpu.quota = flags.number("cpu-quota");
  resources.cpu.burst = unsigned_of(flags, "cpu-burst");
  resources.cpu.shares = unsigned_of(flags, "cpu-share");
  resources.cpu.realtime_period = unsigned_of(flags, "cpu-rt-period");
  resources.cpu.realtime_runtime = flags.number("cpu-rt-runtime");
  resources.cpu.idle = flags.number("cpu-idle");
  resources.cpu.cpus = flags.value_or("cpuset-cpus", "");
  resources.cpu.mems = flags.value_or("cpuset-mems", "");
  resources.memory.limit = size_of(flags, "memory");
  resources.memory.reservation = size_of(flags, "memory-reservation");
  resources.memory.swap = size_of(flags, "memory-swap");
  resources.pids_limit = flags.number("pids-limit");
  if (flags.is_set("l3-cache-schema") || flags.is_set("mem-bw-schema")) {
    throw Error(ErrorKind::Unavailable, "linux.intelRdt is not supported");
  }
  return resources;
}

Json usage_json(std::uint64_t usage, std::uint64_t limit, std::uint64_t max, std::uint64_t failures) {
  return Json::object({{"limit", limit}, {"usage", usage}, {"max", max}, {"failcnt", failures}});
}

Json cpu_stats(const CgroupStats& stats) {
  Json per_processor = Json::array();
  for (const std::uint64_t usage : stats.cpu_per_processor_ns) per_processor.push_back(usage);
  Json usage = Json::object({{"total", stats.cpu_usage_ns}});
  if (!per_processor.empty()) usage["percpu"] = per_processor;
  usage["kernel"] = stats.cpu_system_ns;
  usage["user"] = stats.cpu_user_ns;
  return Json::object({{"usage", usage},
                       {"throttling", Json::object({{"periods", stats.total_periods},
                                                    {"throttledPeriods", stats.throttled_periods},
                                                    {"throttledTime", stats.throttled_ns}})}});
}

Json memory_stats(const CgroupStats& stats) {
  Json raw = Json::object();
  for (const auto& [key, value] : stats.memory_stat) raw[key] = value;
  const auto cache = stats.memory_stat.find(cgroup_layout() == CgroupLayout::V2 ? "file" : "cache");
  Json json = Json::object();
  if (cache != stats.memory_stat.end()) json["cache"] = cache->second;
  json["usage"] = usage_json(stats.memory_usage, stats.memory_limit, stats.memory_max_usage, stats.memory_failures);
  json["swap"] = usage_json(stats.swap_usage, stats.swap_limit, 0, 0);
  json["raw"] = raw;
  return json;
}

Json block_entry(const CgroupStats::BlockIo& block, const char* operation, std::uint64_t value) {
  return Json::object({{"major", block.major}, {"minor", block.minor}, {"op", operation}, {"value", value}});
}

Json block_stats(const CgroupStats& stats) {
  Json bytes = Json::array();
  Json operations = Json::array();
  for (const CgroupStats::BlockIo& block : stats.block_io) {
    bytes.push_back(block_entry(block, "Read", block.read_bytes));
    bytes.push_back(block_entry(block, "Write", block.write_bytes));
    operations.push_back(block_entry(block, "Read", block.read_operations));
    operations.push_back(block_entry(block, "Write", block.write_operations));
  }
  Json json = Json::object();
  if (!bytes.empty()) json["ioServiceBytesRecursive"] = bytes;
  if (!operations.empty()) json["ioServicedRecursive"] = operations;
  return json;
}

std::string stats_line(const OciContainer& container, const Cgroup& group) {
  const CgroupStats stats = group.stats();
  Json pids = Json::object({{"current", stats.pids_current}});
  if (stats.pids_limit != 0) pids["limit"] = stats.pids_limit;
  Json hugepages = Json::object();
  for (const auto& pages : stats.hugepages) {
    hugepages[pages.page_size] =
        Json::object({{"usage", pages.usage}, {"max", pages.max_usage}, {"failcnt", pages.failures}});
  }
  const Json data = Json::object({{"cpu", cpu_stats(stats)},
                                  {"memory", memory_stats(stats)},
                                  {"pids", pids},
                                  {"blkio", block_stats(stats)},
                                  {"hugetlb", hugepages}});
  return Json::object({{"type", "stats"}, {"id", container.id}, {"data", data}}).dump() + "\n";
}

}  // namespace

int oci_update(const OciContext& context, const OciArguments& arguments) {
  const OciFlags flags(arguments, update_flags());
  const OciContainer container = context.store.load(container_id_of(flags.rest()));
  ResourcesSpec resources;
  if (const auto file = flags.value("resources")) {
    const std::string text =
        *file == "-" ? read_fd(STDIN_FILENO, kMaxInput, "standard input") : read_file(*file, kMaxInput);
    resources = parse_resources(Json::parse(text, *file));
  } else {
    resources = resources_from_flags(flags);
  }
  const auto group = OciStore::cgroup_of(container);
  if (!group || context.store.status_of(container) == OciStatus::Stopped) {
    throw Error(ErrorKind::Invalid, "cannot update a container that is not running");
  }
  group->update(resources);
  return 0;
}

int oci_events(const OciContext& context, const OciArguments& arguments) {
  const OciFlags flags(arguments, {{"interval", OciFlag::Kind::Value}, {"stats", OciFlag::Kind::Switch}});
  const OciContainer container = context.store.load(container_id_of(flags.rest()));
  const auto interval = parse_duration(flags.value_or("interval", "5s"));
  if (!interval || interval->count() <= 0) throw Error(ErrorKind::Invalid, "duration interval must be greater than 0");
  const auto group = OciStore::cgroup_of(container);
  const auto process = open_container_process(container);
  if (!group || !process) throw Error(ErrorKind::Invalid, "container with id " + container.id + " is not running");
  if (flags.is_on("stats")) {
    print_line(stats_line(container, *group));
    return 0;
  }
  const auto interval_ms = std::chrono::duration_cast<std::chrono::milliseconds>(*interval).count();
  std::uint64_t oom_kills = group->oom_kills();
  for (;;) {
    pollfd waiting{process->get(), POLLIN, 0};
    const bool has_ended =
        ::poll(&waiting, 1, static_cast<int>(std::min<std::int64_t>(interval_ms, std::numeric_limits<int>::max()))) > 0;
    // Also of the one that ended the container.
    const std::uint64_t kills = group->oom_kills();
    if (kills > oom_kills) print_line(Json::object({{"type", "oom"}, {"id", container.id}}).dump() + "\n");
    if (has_ended) return 0;
    oom_kills = kills;
    print_line(stats_line(container, *group));
  }
}

}  // namespace ctr
