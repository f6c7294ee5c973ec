#include "engine/container_stats.h"

#include <sys/stat.h>

#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "base/process.h"
#include "base/text.h"
#include "base/time.h"
#include "engine/container_state.h"
#include "engine/container_store.h"
#include "engine/cpu_list.h"
#include "runtime/cgroup.h"

namespace ctr {
namespace {

constexpr std::uint64_t kNanosPerSecond = 1'000'000'000;

Cgroup payload_of(const ContainerRecord& record) { return Cgroup::open(record.cgroup_path + "/payload"); }

/// Where an ordinary user's container has no control group, its pid namespace tells which processes are its own.
std::vector<pid_t> pids_of(const ContainerRecord& record, pid_t first) {
  std::vector<pid_t> pids = payload_of(record).pids();
  if (!pids.empty()) return pids;
  const auto namespace_of = [](const std::string& pid) {
    struct stat info {};
    return ::stat(("/proc/" + pid + "/ns/pid").c_str(), &info) == 0 ? info.st_ino : 0;  // others' are closed to us
  };
  const ino_t own = namespace_of(std::to_string(first));
  if (own == 0 || own == namespace_of("self")) return {first};
  for (const std::string& name : list_directory("/proc")) {
    const auto pid = parse_int(name);
    if (pid && namespace_of(name) == own) pids.push_back(static_cast<pid_t>(*pid));
  }
  return pids;
}

/// ps prints columns that only the last of may hold blanks.
std::vector<std::string> columns_of(const std::string& line, std::size_t count) {
  std::vector<std::string> words = split_words(line);
  while (words.size() > count && count > 0) {
    words[count - 1] += " " + words[count];
    words.erase(words.begin() + static_cast<std::ptrdiff_t>(count));
  }
  return words;
}

TopResult parse_ps(const std::string& output, const std::vector<pid_t>& pids) {
  TopResult result;
  std::size_t pid_column = 0;
  for (const std::string& line : split(output, '\n')) {
    if (line.empty()) continue;
    if (result.titles.empty()) {
      result.titles = split_words(line);
      const auto column = std::find(result.titles.begin(), result.titles.end(), "PID");
      if (column == result.titles.end()) throw Error(ErrorKind::Invalid, "Couldn't find PID field in ps output");
      pid_column = static_cast<std::size_t>(column - result.titles.begin());
      continue;
    }
    std::vector<std::string> process = columns_of(line, result.titles.size());
    if (process.size() <= pid_column) continue;
    const std::optional<std::int64_t> pid = parse_int(process[pid_column]);
    if (pid && std::find(pids.begin(), pids.end(), static_cast<pid_t>(*pid)) != pids.end()) {
      result.processes.push_back(std::move(process));
    }
  }
  return result;
}

/// All processors' time since boot, as Docker adds it up.
std::uint64_t system_cpu_ns() {
  const std::string stat = read_file("/proc/stat");
  const std::vector<std::string> words = split_words(stat.substr(0, stat.find('\n')));
  std::uint64_t ticks = 0;
  for (std::size_t i = 1; i < words.size() && i <= 8; ++i) ticks += parse_uint(words[i]).value_or(0);
  return ticks * (kNanosPerSecond / static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK)));
}

std::vector<NetworkUsage> network_usage(int pid) {
  std::vector<NetworkUsage> usages;
  const std::optional<std::string> table = find_file("/proc/" + std::to_string(pid) + "/net/dev");
  if (!table) return usages;
  for (const std::string& line : split(*table, '\n')) {
    const auto parts = cut(line, ':');
    if (!parts || trim(parts->first) == "lo") continue;
    const std::vector<std::string> words = split_words(parts->second);
    if (words.size() < 12) continue;
    const auto number = [&](std::size_t index) { return parse_uint(words[index]).value_or(0); };
    usages.push_back({std::string(trim(parts->first)), number(0), number(1), number(2), number(3), number(8), number(9),
                      number(10), number(11)});
  }
  return usages;
}

std::uint64_t machine_memory() {
  const long pages = ::sysconf(_SC_PHYS_PAGES);
  const long size = ::sysconf(_SC_PAGESIZE);
  return static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(size);
}

/// Docker's client takes off what the kernel can drop at once.
std::uint64_t used_memory(const CgroupStats& stats) {
  for (const char* key : {"total_inactive_file", "inactive_file"}) {
    const auto found = stats.memory_stat.find(key);
    if (found != stats.memory_stat.end() && found->second < stats.memory_usage) return stats.memory_usage - found->second;
  }
  return stats.memory_usage;
}

Json cpu_document(const StatsSample& sample) {
  Json json = Json::object();
  json["cpu_usage"]["total_usage"] = sample.cpu_total_ns;
  json["cpu_usage"]["usage_in_kernelmode"] = sample.cpu_kernel_ns;
  json["cpu_usage"]["usage_in_usermode"] = sample.cpu_user_ns;
  if (sample.system_cpu_ns != 0) json["system_cpu_usage"] = sample.system_cpu_ns;
  if (sample.online_cpus != 0) json["online_cpus"] = sample.online_cpus;
  json["throttling_data"]["periods"] = 0;
  json["throttling_data"]["throttled_periods"] = 0;
  json["throttling_data"]["throttled_time"] = 0;
  return json;
}

Json block_document(const StatsSample& sample) {
  Json bytes = Json::array();
  for (const auto& [op, value] : {std::pair("read", sample.block_read_bytes), std::pair("write", sample.block_write_bytes)}) {
    Json entry = Json::object();
    entry["major"] = 0;
    entry["minor"] = 0;
    entry["op"] = op;
    entry["value"] = value;
    bytes.push_back(std::move(entry));
  }
  Json json = Json::object();
  json["io_service_bytes_recursive"] = std::move(bytes);
  for (const char* key : {"io_serviced_recursive", "io_queue_recursive", "io_service_time_recursive",
                          "io_wait_time_recursive", "io_merged_recursive", "io_time_recursive", "sectors_recursive"}) {
    json[key] = nullptr;
  }
  return json;
}

Json networks_document(const StatsSample& sample) {
  Json json = Json::object();
  for (const NetworkUsage& usage : sample.networks) {
    Json entry = Json::object();
    entry["rx_bytes"] = usage.rx_bytes;
    entry["rx_packets"] = usage.rx_packets;
    entry["rx_errors"] = usage.rx_errors;
    entry["rx_dropped"] = usage.rx_dropped;
    entry["tx_bytes"] = usage.tx_bytes;
    entry["tx_packets"] = usage.tx_packets;
    entry["tx_errors"] = usage.tx_errors;
    entry["tx_dropped"] = usage.tx_dropped;
    json[usage.interface] = std::move(entry);
  }
  return json;
}

std::string time_text(std::int64_t ns) {
  return ns == 0 ? std::string(kZeroTimeText) : format_time(Time(std::chrono::nanoseconds(ns)));
}

}  // namespace

TopResult container_top(Context& context, const std::string& container, const std::vector<std::string>& arguments) {
  const ContainerRecord record = context.containers().get(container);
  const ContainerState state = read_state(context, record);
  if (!state.is_running()) throw Error(ErrorKind::Busy, "container " + record.id + " is not running");
  if (state.status == ContainerStatus::Restarting) {
    throw Error(ErrorKind::Busy, "Container " + record.id + " is restarting, wait until the container is running");
  }
  Command command;
  command.argv = {"ps"};
  if (arguments.empty()) command.argv.emplace_back("-ef");
  command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
  if (!find_program("ps")) throw Error(ErrorKind::Unavailable, "top needs the program ps: install the package procps");
  const CommandOutput output = run_command(command);
  if (!output.status.success()) {
    throw Error(ErrorKind::Invalid, "Error running ps: " + std::string(trim(output.standard_error)));
  }
  return parse_ps(output.standard_out, pids_of(record, state.pid));
}

StatsSample read_stats(Context& context, const std::string& container) {
  const ContainerRecord record = context.containers().get(container);
  StatsSample sample;
  sample.id = record.id;
  sample.name = record.name;
  sample.raw_memory = Json::object();
  const ContainerState state = read_state(context, record);
  if (!state.is_running() || state.pid == 0) return sample;
  const CgroupStats stats = payload_of(record).stats();
  sample.read_ns = now().time_since_epoch().count();
  sample.cpu_total_ns = stats.cpu_usage_ns;
  sample.cpu_user_ns = stats.cpu_user_ns;
  sample.cpu_kernel_ns = stats.cpu_system_ns;
  sample.system_cpu_ns = system_cpu_ns();
  sample.online_cpus = static_cast<int>(usable_cpus().size());
  sample.memory_usage = used_memory(stats);
  sample.memory_limit = std::min(stats.memory_limit, machine_memory());
  sample.pids = stats.pids_current;
  sample.pids_limit = stats.pids_limit;
  for (const CgroupStats::BlockIo& device : stats.block_io) {
    sample.block_read_bytes += device.read_bytes;
    sample.block_write_bytes += device.write_bytes;
  }
  for (const auto& [key, value] : stats.memory_stat) sample.raw_memory[key] = value;
  sample.networks = network_usage(state.pid);
  return sample;
}

double cpu_percent(const StatsSample& before, const StatsSample& now) {
  if (now.cpu_total_ns <= before.cpu_total_ns || now.system_cpu_ns <= before.system_cpu_ns) return 0;
  const double used = static_cast<double>(now.cpu_total_ns - before.cpu_total_ns);
  const double passed = static_cast<double>(now.system_cpu_ns - before.system_cpu_ns);
  return used / passed * now.online_cpus * 100.0;
}

Json to_json(const StatsSample& before, const StatsSample& now) {
  Json json = Json::object();
  json["name"] = "/" + now.name;
  json["id"] = now.id;
  json["read"] = time_text(now.read_ns);
  json["preread"] = time_text(before.read_ns);
  json["pids_stats"] = Json::object();
  if (now.pids != 0) json["pids_stats"]["current"] = now.pids;
  if (now.pids_limit != 0) json["pids_stats"]["limit"] = now.pids_limit;
  json["blkio_stats"] = block_document(now);
  json["num_procs"] = 0;
  json["storage_stats"] = Json::object();
  json["cpu_stats"] = cpu_document(now);
  json["precpu_stats"] = cpu_document(before);
  json["memory_stats"]["usage"] = now.memory_usage;
  json["memory_stats"]["stats"] = now.raw_memory;
  json["memory_stats"]["limit"] = now.memory_limit;
  json["networks"] = networks_document(now);
  return json;
}

}  // namespace ctr
