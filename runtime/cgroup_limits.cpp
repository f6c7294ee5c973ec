#include "runtime/cgroup_limits.h"

#include "base/error.h"
#include "base/text.h"
#include "runtime/cgroup_layout.h"

namespace ctr {

namespace {

/// -1 is no limit: "max" for v2.
std::string limit_text(std::int64_t value) {
  return value < 0 ? "max" : std::to_string(value);
}

std::string device_text(std::int64_t major, std::int64_t minor) {
  return std::to_string(major) + ":" + std::to_string(minor);
}

/// Writes one file of one controller.
class Writer {
 public:
  explicit Writer(const Cgroup& group) : group_(group) {}

  void write(std::string_view controller, const std::string& file, const std::string& text) const {
    write_control_file(require(controller) / file, text);
  }

  template <typename Number>
  void write(std::string_view controller, const std::string& file, const std::optional<Number>& value) const {
    if (value) write(controller, file, std::to_string(*value));
  }

  bool has(std::string_view controller, const std::string& file) const {
    const auto directory = group_.directory_of(controller);
    return directory && path_exists(*directory / file);
  }

 protected:
  fs::path require(std::string_view controller) const {
    if (const auto directory = group_.directory_of(controller)) return *directory;
    throw Error(ErrorKind::Unavailable, "this machine has no cgroup controller " +
                                            std::string(controller.empty() ? "of version 2" : controller));
  }

 private:
  const Cgroup& group_;
};

/// memory+swap may never be below memory, so that the order of two writes depends on where they come from.
void write_v1_memory(const Writer& writer, const MemoryLimits& memory) {
  const auto write_limit = [&] { writer.write("memory", "memory.limit_in_bytes", memory.limit); };
  const auto write_swap = [&] {
    // Kernels without swap accounting lack the file; unlimited is what they have anyway.
    if (memory.swap && (*memory.swap >= 0 || writer.has("memory", "memory.memsw.limit_in_bytes"))) {
      if (*memory.swap != 0) writer.write("memory", "memory.memsw.limit_in_bytes", memory.swap);
    }
  };
  if (memory.limit && *memory.limit != 0) {
    try {
      write_limit();
      write_swap();
      return;
    } catch (const Error& error) {
      if (!memory.swap || error.error_number() != EINVAL) throw;
    }
    write_swap();
    write_limit();
    return;
  }
  write_swap();
}

void apply_v1_memory(const Writer& writer, const MemoryLimits& memory) {
  write_v1_memory(writer, memory);
  if (memory.reservation && *memory.reservation != 0) {
    writer.write("memory", "memory.soft_limit_in_bytes", memory.reservation);
  }
  if (memory.kernel_tcp && *memory.kernel_tcp != 0) {
    writer.write("memory", "memory.kmem.tcp.limit_in_bytes", memory.kernel_tcp);
  }
  writer.write("memory", "memory.swappiness", memory.swappiness);
  if (memory.disable_oom_killer && *memory.disable_oom_killer) writer.write("memory", "memory.oom_control", "1");
}

void apply_v1_cpu(const Writer& writer, const CpuLimits& cpu) {
  if (cpu.shares && *cpu.shares != 0) writer.write("cpu", "cpu.shares", cpu.shares);
  if (cpu.burst && *cpu.burst == 0) writer.write("cpu", "cpu.cfs_burst_us", cpu.burst);
  if (cpu.period && *cpu.period != 0) writer.write("cpu", "cpu.cfs_period_us", cpu.period);
  if (cpu.quota && *cpu.quota != 0) writer.write("cpu", "cpu.cfs_quota_us", cpu.quota);
  if (cpu.burst && *cpu.burst != 0) writer.write("cpu", "cpu.cfs_burst_us", cpu.burst);
  if (cpu.realtime_period && *cpu.realtime_period != 0) writer.write("cpu", "cpu.rt_period_us", cpu.realtime_period);
  if (cpu.realtime_runtime && *cpu.realtime_runtime != 0) {
    writer.write("cpu", "cpu.rt_runtime_us", cpu.realtime_runtime);
  }
  writer.write("cpu", "cpu.idle", cpu.idle);
  if (!cpu.cpus.empty()) writer.write("cpuset", "cpuset.cpus", cpu.cpus);
  if (!cpu.mems.empty()) writer.write("cpuset", "cpuset.mems", cpu.mems);
}

void write_rates(const Writer& writer, const std::string& file, const std::vector<BlockDeviceRate>& rates) {
  for (const BlockDeviceRate& rate : rates) {
    writer.write("blkio", file, device_text(rate.major, rate.minor) + " " + std::to_string(rate.rate));
  }
}

void apply_v1_block_io(const Writer& writer, const BlockIoLimits& block) {
  // The weight belongs to a scheduler (BFQ, or CFQ of old), which may not be there.
  const std::string prefix = writer.has("blkio", "blkio.bfq.weight") ? "blkio.bfq." : "blkio.";
  if (block.weight && *block.weight != 0) writer.write("blkio", prefix + "weight", std::to_string(*block.weight));
  if (block.leaf_weight && *block.leaf_weight != 0) {
    writer.write("blkio", "blkio.leaf_weight", std::to_string(*block.leaf_weight));
  }
  for (const BlockDeviceWeight& device : block.weight_devices) {
    if (device.weight) {
      writer.write("blkio", prefix + "weight_device",
                   device_text(device.major, device.minor) + " " + std::to_string(*device.weight));
    }
  }
  write_rates(writer, "blkio.throttle.read_bps_device", block.read_bps);
  write_rates(writer, "blkio.throttle.write_bps_device", block.write_bps);
  write_rates(writer, "blkio.throttle.read_iops_device", block.read_iops);
  write_rates(writer, "blkio.throttle.write_iops_device", block.write_iops);
}

void apply_v1(const Writer& writer, const ResourcesSpec& resources) {
  apply_v1_memory(writer, resources.memory);
  apply_v1_cpu(writer, resources.cpu);
  apply_v1_block_io(writer, resources.block_io);
  if (resources.pids_limit && *resources.pids_limit != 0) {
    writer.write("pids", "pids.max", limit_text(*resources.pids_limit));
  }
  for (const HugepageLimit& limit : resources.hugepages) {
    writer.write("hugetlb", "hugetlb." + limit.page_size + ".limit_in_bytes", std::to_string(limit.limit));
  }
  writer.write("net_cls", "net_cls.classid", resources.network_class);
  for (const NetworkPriority& priority : resources.network_priorities) {
    writer.write("net_prio", "net_prio.ifpriomap", priority.interface_name + " " + std::to_string(priority.priority));
  }
}

/// The OCI value counts memory and swap together, v2 counts swap alone.
std::string v2_swap(const MemoryLimits& memory) {
  if (*memory.swap < 0) return "max";
  if (!memory.limit || *memory.limit < 0) {
    throw Error(ErrorKind::Invalid, "a limit for memory and swap needs one for memory");
  }
  if (*memory.swap < *memory.limit) {
    throw Error(ErrorKind::Invalid, "the limit for memory and swap is below the one for memory");
  }
  return std::to_string(*memory.swap - *memory.limit);
}

void apply_v2_memory(const Writer& writer, const MemoryLimits& memory) {
  if (memory.swap && *memory.swap != 0 && (*memory.swap >= 0 || writer.has("", "memory.swap.max"))) {
    writer.write("", "memory.swap.max", v2_swap(memory));
  }
  if (memory.limit && *memory.limit != 0) writer.write("", "memory.max", limit_text(*memory.limit));
  if (memory.reservation && *memory.reservation != 0) writer.write("", "memory.low", limit_text(*memory.reservation));
}

void apply_v2_cpu(const Writer& writer, const CpuLimits& cpu) {
  if (cpu.shares && *cpu.shares != 0) {
    // [2, 262144] onto [1, 10000].
    const std::uint64_t shares = std::min<std::uint64_t>(std::max<std::uint64_t>(*cpu.shares, 2), 262144);
    writer.write("", "cpu.weight", std::to_string(1 + (shares - 2) * 9999 / 262142));
  }
  writer.write("", "cpu.idle", cpu.idle);
  if ((cpu.quota && *cpu.quota != 0) || (cpu.period && *cpu.period != 0)) {
    std::string text = cpu.quota && *cpu.quota > 0 ? std::to_string(*cpu.quota) : "max";
    if (cpu.period && *cpu.period != 0) text += " " + std::to_string(*cpu.period);
    writer.write("", "cpu.max", text);
  }
  writer.write("", "cpu.max.burst", cpu.burst);
  if (!cpu.cpus.empty()) writer.write("", "cpuset.cpus", cpu.cpus);
  if (!cpu.mems.empty()) writer.write("", "cpuset.mems", cpu.mems);
}

void write_v2_rates(const Writer& writer, std::string_view key, const std::vector<BlockDeviceRate>& rates) {
  for (const BlockDeviceRate& rate : rates) {
    const std::string value = rate.rate == 0 ? "max" : std::to_string(rate.rate);
    writer.write("", "io.max", device_text(rate.major, rate.minor) + " " + std::string(key) + "=" + value);
  }
}

void apply_v2_block_io(const Writer& writer, const BlockIoLimits& block) {
  const bool has_bfq = writer.has("", "io.bfq.weight");
  if (block.weight && *block.weight != 0) {
    if (has_bfq) {
      writer.write("", "io.bfq.weight", std::to_string(*block.weight));
    } else {
      // [10, 1000] onto [1, 10000].
      writer.write("", "io.weight", "default " + std::to_string(1 + (*block.weight - 10) * 9999 / 990));
    }
  }
  for (const BlockDeviceWeight& device : block.weight_devices) {
    if (!device.weight) continue;
    writer.write("", has_bfq ? "io.bfq.weight" : "io.weight",
                 device_text(device.major, device.minor) + " " + std::to_string(*device.weight));
  }
  write_v2_rates(writer, "rbps", block.read_bps);
  write_v2_rates(writer, "wbps", block.write_bps);
  write_v2_rates(writer, "riops", block.read_iops);
  write_v2_rates(writer, "wiops", block.write_iops);
}

void apply_v2(const Writer& writer, const ResourcesSpec& resources) {
  apply_v2_memory(writer, resources.memory);
  apply_v2_cpu(writer, resources.cpu);
  apply_v2_block_io(writer, resources.block_io);
  if (resources.pids_limit && *resources.pids_limit != 0) {
    writer.write("", "pids.max", limit_text(*resources.pids_limit));
  }
  for (const HugepageLimit& limit : resources.hugepages) {
    writer.write("", "hugetlb." + limit.page_size + ".max", std::to_string(limit.limit));
  }
  if (resources.network_class || !resources.network_priorities.empty()) {
    throw Error(ErrorKind::Unavailable, "linux.resources.network needs cgroup v1");
  }
}

void apply_rdma(const Writer& writer, std::string_view controller, const ResourcesSpec& resources) {
  for (const auto& [device, limit] : resources.rdma) {
    std::string text = device;
    if (limit.handles) text += " hca_handle=" + std::to_string(*limit.handles);
    if (limit.objects) text += " hca_object=" + std::to_string(*limit.objects);
    writer.write(controller, "rdma.max", text);
  }
}

void apply_unified(const Writer& writer, const ResourcesSpec& resources) {
  for (const auto& [file, content] : resources.unified) {
    if (file.empty() || file.find('/') != std::string::npos || file.starts_with('.')) {
      throw Error(ErrorKind::Invalid, "linux.resources.unified: bad file name " + json_quote(file));
    }
    if (cgroup_layout() != CgroupLayout::V2) {
      throw Error(ErrorKind::Unavailable, "linux.resources.unified needs cgroup v2");
    }
    if (!writer.has("", file)) {
      throw Error(ErrorKind::Unavailable, "linux.resources.unified: this cgroup has no file " + json_quote(file));
    }
    for (const std::string& line : split(content, '\n')) {
      if (!line.empty()) writer.write("", file, line);
    }
  }
}

}  // namespace

void apply_limits(const Cgroup& group, const ResourcesSpec& resources) {
  const Writer writer(group);
  const bool is_v2 = cgroup_layout() == CgroupLayout::V2;
  if (is_v2) {
    apply_v2(writer, resources);
  } else {
    apply_v1(writer, resources);
  }
  apply_rdma(writer, is_v2 ? "" : "rdma", resources);
  apply_unified(writer, resources);
}

}  // namespace ctr
