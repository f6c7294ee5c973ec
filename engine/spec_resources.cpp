#include "engine/spec_resources.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace ctr {
namespace {

constexpr std::int64_t kDefaultPeriodUs = 100'000;
constexpr std::uint64_t kUnlimited = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint64_t kOpenFiles = 1'048'576;
constexpr int kDeviceDepth = 16;

struct DeviceNumber {
  std::int64_t major = 0;
  std::int64_t minor = 0;
};

DeviceNumber device_number(const std::string& path) {
  struct stat status {};
  check(::stat(path.c_str(), &status), "stat", path);
  if (!S_ISBLK(status.st_mode)) throw Error(ErrorKind::Invalid, path + " is not a block device");
  return {major(status.st_rdev), minor(status.st_rdev)};
}

std::vector<BlockDeviceRate> rates(const std::vector<ThrottleDevice>& devices) {
  std::vector<BlockDeviceRate> rates;
  for (const ThrottleDevice& device : devices) {
    const DeviceNumber number = device_number(device.path);
    rates.push_back({number.major, number.minor, device.rate});
  }
  return rates;
}

void set_cpu(const Resources& r, CpuLimits& cpu) {
  if (r.cpu_shares > 0) cpu.shares = static_cast<std::uint64_t>(r.cpu_shares);
  if (r.nano_cpus > 0) {
    cpu.period = kDefaultPeriodUs;
    cpu.quota = r.nano_cpus * kDefaultPeriodUs / 1'000'000'000;
  }
  if (r.cpu_period != 0) cpu.period = static_cast<std::uint64_t>(r.cpu_period);
  if (r.cpu_quota != 0) cpu.quota = r.cpu_quota;
  if (r.cpu_realtime_period != 0) cpu.realtime_period = static_cast<std::uint64_t>(r.cpu_realtime_period);
  if (r.cpu_realtime_runtime != 0) cpu.realtime_runtime = r.cpu_realtime_runtime;
  cpu.cpus = r.cpuset_cpus;
  cpu.mems = r.cpuset_mems;
}

void set_memory(const Resources& r, MemoryLimits& memory) {
  if (r.memory > 0) memory.limit = r.memory;
  if (r.memory_reservation > 0) memory.reservation = r.memory_reservation;
  if (r.memory_swap != 0) {
    memory.swap = r.memory_swap;
  } else if (r.memory > 0) {
    memory.swap = r.memory > std::numeric_limits<std::int64_t>::max() / 2 ? -1 : r.memory * 2;
  }
  if (r.memory_swappiness && *r.memory_swappiness >= 0) {
    memory.swappiness = static_cast<std::uint64_t>(*r.memory_swappiness);
  }
  if (r.oom_kill_disable.value_or(false)) memory.disable_oom_killer = true;
}

void set_block_io(const Resources& r, BlockIoLimits& block_io) {
  if (r.blkio_weight != 0) block_io.weight = r.blkio_weight;
  for (const WeightDevice& device : r.blkio_weight_device) {
    const DeviceNumber number = device_number(device.path);
    block_io.weight_devices.push_back({number.major, number.minor, device.weight, std::nullopt});
  }
  block_io.read_bps = rates(r.blkio_device_read_bps);
  block_io.write_bps = rates(r.blkio_device_write_bps);
  block_io.read_iops = rates(r.blkio_device_read_iops);
  block_io.write_iops = rates(r.blkio_device_write_iops);
}

void add_device_node(Spec& spec, const struct stat& status, const std::string& path, const std::string& access) {
  DeviceSpec device;
  device.path = path;
  device.type = S_ISBLK(status.st_mode) ? 'b' : 'c';
  device.major = major(status.st_rdev);
  device.minor = minor(status.st_rdev);
  device.file_mode = status.st_mode & 07777;
  device.uid = status.st_uid;
  device.gid = status.st_gid;
  spec.linux.resources.devices.push_back({true, device.type, device.major, device.minor, access});
  spec.linux.devices.push_back(std::move(device));
}

/// A device, or every device below a directory.
void add_device_path(Spec& spec, const fs::path& host, const fs::path& inside, const std::string& access, int depth) {
  struct stat status {};
  if (::stat(host.c_str(), &status) != 0) {
    throw Error(ErrorKind::Invalid, "error gathering device information while adding custom device \"" + host.native() +
                                        "\": no such file or directory");
  }
  if (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)) {
    add_device_node(spec, status, inside, access);
    return;
  }
  if (!S_ISDIR(status.st_mode) || depth == 0) {
    if (depth != kDeviceDepth) return;  // a plain file or socket in a directory of devices
    throw Error(ErrorKind::Invalid,
                "error gathering device information while adding custom device \"" + host.native() + "\": not a device node");
  }
  for (const std::string& name : list_directory(host)) {
    if (name == "pts" || name == "shm" || name == "fd" || name == "mqueue" || name == ".udev") continue;
    std::error_code broken;
    if (fs::exists(host / name, broken)) add_device_path(spec, host / name, inside / name, access, depth - 1);
  }
}

bool is_access(const std::string& text) {
  return !text.empty() && text.size() <= 3 && text.find_first_not_of("rwm") == std::string::npos;
}

std::optional<std::int64_t> rule_number(const std::string& text, const std::string& rule) {
  if (text == "*") return std::nullopt;
  const std::optional<std::int64_t> number = parse_int(text);
  if (!number || *number < 0) throw Error(ErrorKind::Invalid, "invalid device cgroup rule format: '" + rule + "'");
  return number;
}

DeviceRule parse_rule(const std::string& rule) {
  const std::vector<std::string> words = split_words(rule);
  const auto numbers = words.size() == 3 ? cut(words[1], ':') : std::nullopt;
  if (!numbers || words[0].size() != 1 || std::string("acb").find(words[0]) == std::string::npos || !is_access(words[2])) {
    throw Error(ErrorKind::Invalid, "invalid device cgroup rule format: '" + rule + "'");
  }
  return {true, words[0][0], rule_number(numbers->first, rule), rule_number(numbers->second, rule), words[2]};
}

std::uint64_t limit_of(std::int64_t value) { return value < 0 ? kUnlimited : static_cast<std::uint64_t>(value); }

void set_limit(std::vector<RlimitSpec>& limits, const std::string& name, std::uint64_t soft, std::uint64_t hard) {
  const std::string type = "RLIMIT_" + upper(name);
  const auto place =
      std::find_if(limits.begin(), limits.end(), [&](const RlimitSpec& limit) { return limit.type == type; });
  if (place != limits.end()) {
    place->soft = soft;
    place->hard = hard;
  } else {
    limits.push_back({type, soft, hard});
  }
}

}  // namespace

ResourcesSpec make_limits(const Resources& resources) {
  ResourcesSpec spec;
  set_cpu(resources, spec.cpu);
  set_memory(resources, spec.memory);
  set_block_io(resources, spec.block_io);
  if (resources.pids_limit) spec.pids_limit = *resources.pids_limit > 0 ? *resources.pids_limit : -1;
  return spec;
}

void add_devices(Spec& spec, const Resources& resources) {
  for (const DeviceMapping& device : resources.devices) {
    const std::string access = device.cgroup_permissions.empty() ? "rwm" : device.cgroup_permissions;
    if (!is_access(access)) throw Error(ErrorKind::Invalid, "invalid device mode: " + access);
    const std::string inside = device.path_in_container.empty() ? device.path_on_host : device.path_in_container;
    add_device_path(spec, device.path_on_host, inside, access, kDeviceDepth);
  }
  for (const std::string& rule : resources.device_cgroup_rules) {
    spec.linux.resources.devices.push_back(parse_rule(rule));
  }
}

std::vector<RlimitSpec> make_rlimits(const std::vector<Ulimit>& ulimits, const StringMap& defaults) {
  rlimit own{};
  ::getrlimit(RLIMIT_NOFILE, &own);
  const std::uint64_t files = std::min<std::uint64_t>(kOpenFiles, own.rlim_max);
  std::vector<RlimitSpec> limits = {{"RLIMIT_NOFILE", files, files}};
  for (const auto& [name, text] : defaults) {
    const auto parts = cut(text, ':');
    const std::optional<std::int64_t> soft = parse_int(parts ? parts->first : text);
    const std::optional<std::int64_t> hard = parts ? parse_int(parts->second) : soft;
    if (!soft || !hard) throw Error(ErrorKind::Invalid, "default-ulimits: \"" + name + "\": \"" + text + "\" is no limit");
    set_limit(limits, name, limit_of(*soft), limit_of(*hard));
  }
  for (const Ulimit& ulimit : ulimits) set_limit(limits, ulimit.name, limit_of(ulimit.soft), limit_of(ulimit.hard));
  return limits;
}

}  // namespace ctr
