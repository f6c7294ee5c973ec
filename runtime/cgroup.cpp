#include "runtime/cgroup.h"

#include <algorithm>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <thread>

#include "base/error.h"
#include "base/text.h"
#include "base/time.h"
#include "runtime/cgroup_devices.h"
#include "runtime/cgroup_layout.h"
#include "runtime/cgroup_limits.h"

namespace ctr {

namespace {

constexpr std::uint64_t kMaxControlFile = 16 * kMiB;
constexpr int kFreezePatienceMs = 10000;

/// The path below a hierarchy's mount point; nothing of it may lead upwards.
fs::path clean_path(const std::string& path) {
  const fs::path clean = (fs::path("/") / path).lexically_normal().relative_path();
  if (clean.empty()) throw Error(ErrorKind::Invalid, "the cgroup path " + json_quote(path) + " names the root group");
  return clean;
}

std::string read_control(const fs::path& file) {
  return read_file(file, kMaxControlFile);
}

/// A new cpuset is empty, and nobody can enter it, until it has processors and memory: its parent's.
void fill_cpuset(const fs::path& directory) {
  for (const char* name : {"cpuset.cpus", "cpuset.mems"}) {
    if (!trim(read_control(directory / name)).empty()) continue;
    write_control_file(directory / name, trim(read_control(directory.parent_path() / name)));
  }
}

/// Lets the groups below `directory` have all controllers that it has itself.
void enable_controllers(const fs::path& directory) {
  const std::vector<std::string> enabled = split_words(read_control(directory / "cgroup.subtree_control"));
  std::string request;
  for (const std::string& controller : split_words(read_control(directory / "cgroup.controllers"))) {
    if (std::find(enabled.begin(), enabled.end(), controller) == enabled.end()) request += "+" + controller + " ";
  }
  if (request.empty()) return;
  try {
    write_control_file(directory / "cgroup.subtree_control", trim(request));
  } catch (const Error&) {
    // One that can't be had must not keep the others away. What then is missing is named where a limit needs it.
    for (const std::string& one : split_words(request)) {
      try {
        write_control_file(directory / "cgroup.subtree_control", one);
      } catch (const Error&) {
        continue;
      }
    }
  }
}

void make_group(const CgroupHierarchy& hierarchy, const fs::path& path) {
  const bool is_cpuset = hierarchy.has("cpuset");
  fs::path directory = hierarchy.mount_point;
  for (const fs::path& component : path) {
    if (hierarchy.is_unified && cgroup_layout() == CgroupLayout::V2) enable_controllers(directory);
    directory /= component;
    const int result = ::mkdir(directory.c_str(), 0755);
    if (result < 0 && errno != EEXIST) throw_errno(errno, "make the cgroup", directory.native());
    if (is_cpuset) fill_cpuset(directory);
  }
}

/// The groups below, deepest first, then the group itself.
void remove_group(const fs::path& directory) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(directory, ignored)) {
    if (entry.is_directory(ignored) && !entry.is_symlink(ignored)) remove_group(entry.path());
  }
  if (::rmdir(directory.c_str()) < 0 && errno != ENOENT) throw_errno(errno, "remove the cgroup", directory.native());
}

void collect_pids(const fs::path& directory, std::vector<pid_t>& pids) {
  for (const std::string& word : split_words(find_file(directory / "cgroup.procs", kMaxControlFile).value_or(""))) {
    if (const auto pid = parse_int(word)) pids.push_back(static_cast<pid_t>(*pid));
  }
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(directory, ignored)) {
    if (entry.is_directory(ignored) && !entry.is_symlink(ignored)) collect_pids(entry.path(), pids);
  }
}

std::optional<std::uint64_t> event_value(const std::string& events, std::string_view key) {
  for (const std::string& line : split(events, '\n')) {
    const auto pair = cut(line, ' ');
    if (pair && pair->first == key) return parse_uint(trim(pair->second));
  }
  return std::nullopt;
}

/// Waits until cgroup.events says so; the kernel announces each change with POLLPRI.
void wait_for_event(const fs::path& directory, std::string_view key, std::uint64_t wanted) {
  const Fd file = open_file(directory / "cgroup.events", O_RDONLY);
  const std::int64_t end = monotonic_ms() + kFreezePatienceMs;
  for (;;) {
    char buffer[256];
    const ssize_t size = check(::pread(file.get(), buffer, sizeof buffer, 0), "read", directory);
    if (event_value(std::string(buffer, static_cast<std::size_t>(size)), key) == wanted) return;
    const std::int64_t left = end - monotonic_ms();
    if (left <= 0)
      throw Error(ErrorKind::Busy, "the cgroup " + directory.native() + " does not become " + std::string(key));
    pollfd waiting{file.get(), POLLPRI, 0};
    ::poll(&waiting, 1, static_cast<int>(left));
  }
}

void freeze_v1(const fs::path& directory) {
  const std::int64_t end = monotonic_ms() + kFreezePatienceMs;
  while (monotonic_ms() < end) {
    write_control_file(directory / "freezer.state", "FROZEN");
    for (int attempt = 0; attempt < 25; ++attempt) {
      if (trim(read_control(directory / "freezer.state")) == "FROZEN") return;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    // A process between fork and the freezer can hold it up for ever: let it pass and try again.
    write_control_file(directory / "freezer.state", "THAWED");
  }
  write_control_file(directory / "freezer.state", "THAWED");
  throw Error(ErrorKind::Busy, "the cgroup " + directory.native() + " does not freeze");
}

std::string layout_path(std::string_view container_id, std::string_view v2_part) {
  std::string path = "/ctr/" + std::string(container_id);
  if (cgroup_layout() == CgroupLayout::V2) path.append("/").append(v2_part);
  return path;
}

}  // namespace

std::string container_cgroup_path(std::string_view container_id) {
  return layout_path(container_id, "payload");
}

std::string holder_cgroup_path(std::string_view container_id) {
  // v1 groups may hold processes and groups at once, and each costs: all shims share one.
  return cgroup_layout() == CgroupLayout::V2 ? layout_path(container_id, "shim") : "/ctr/shims";
}

void remove_shared_cgroups() {
  for (const CgroupHierarchy& hierarchy : cgroup_mounts().hierarchies) {
    // Busy groups belong to containers of another store.
    for (const char* path : {"ctr/shims", "ctr"}) ::rmdir((hierarchy.mount_point / path).c_str());
  }
}

void enter_holder_cgroup(std::string_view container_id) {
  const fs::path path = clean_path(holder_cgroup_path(container_id));
  for (const CgroupHierarchy& hierarchy : cgroup_mounts().hierarchies) {
    try {
      make_group(hierarchy, path);
      // "0" in `tasks` moves this one thread, without a lock that all processes of the machine share.
      write_control_file(hierarchy.mount_point / path / (hierarchy.is_unified ? "cgroup.procs" : "tasks"), "0");
    } catch (const Error&) {
      // Read-only or not ours: the shim then stays where its caller is.
      continue;
    }
  }
}

Cgroup Cgroup::create(const std::string& path, const ResourcesSpec& resources, CgroupPolicy policy) {
  Cgroup group;
  group.path_ = path;
  const auto attempt = [&](auto&& body) {
    if (policy == CgroupPolicy::Required) return body();
    try {
      body();
    } catch (const Error& error) {
      if (!group.missing_.empty()) group.missing_ += "; ";
      group.missing_ += error.what();
    }
  };
  const fs::path clean = clean_path(path);
  for (const CgroupHierarchy& hierarchy : cgroup_mounts().hierarchies) {
    attempt([&] {
      make_group(hierarchy, clean);
      group.directories_.push_back({hierarchy.controllers, hierarchy.mount_point / clean, hierarchy.is_unified});
    });
  }
  attempt([&] { group.update(resources); });
  attempt([&] { apply_device_rules(group, resources.devices); });
  return group;
}

Cgroup Cgroup::open(const std::string& path) {
  Cgroup group;
  group.path_ = path;
  const fs::path clean = clean_path(path);
  for (const CgroupHierarchy& hierarchy : cgroup_mounts().hierarchies) {
    const fs::path directory = hierarchy.mount_point / clean;
    if (path_exists(directory)) group.directories_.push_back({hierarchy.controllers, directory, hierarchy.is_unified});
  }
  return group;
}

Cgroup Cgroup::of_process(pid_t pid) {
  const std::string text = read_file("/proc/" + std::to_string(pid) + "/cgroup", kMiB);
  Cgroup group;
  for (const std::string& line : split(text, '\n')) {
    const std::vector<std::string> fields = split_at_most(line, ':', 3);
    if (fields.size() != 3) continue;
    for (const CgroupHierarchy& hierarchy : cgroup_mounts().hierarchies) {
      if (hierarchy.is_unified ? fields[0] != "0" : fields[1] != hierarchy.controllers) continue;
      const fs::path directory = hierarchy.mount_point / fs::path(fields[2]).relative_path();
      group.directories_.push_back({hierarchy.controllers, directory, hierarchy.is_unified});
      if (group.path_.empty() || group.path_ == "/") group.path_ = fields[2];
    }
  }
  return group;
}

bool Cgroup::exists() const {
  return std::any_of(directories_.begin(), directories_.end(),
                     [](const Directory& one) { return path_exists(one.path); });
}

void Cgroup::update(const ResourcesSpec& resources) const {
  apply_limits(*this, resources);
}

void Cgroup::kill(int signal) const {
  const auto unified = directory_of("");
  if (signal == SIGKILL && unified && path_exists(*unified / "cgroup.kill")) {
    write_control_file(*unified / "cgroup.kill", "1");
    // In a hybrid layout somebody may have entered the v1 groups alone.
    if (cgroup_layout() == CgroupLayout::V2) return;
  }
  // Processes that fork while they are counted are met in the next round.
  for (int round = 0; round < 100; ++round) {
    const std::vector<pid_t> all = pids();
    if (all.empty()) return;
    for (const pid_t pid : all) ::kill(pid, signal);
    if (signal != SIGKILL) return;
    if (can_freeze() && is_frozen()) thaw();
    std::this_thread::sleep_for(std::chrono::milliseconds(round == 0 ? 0 : 1));
  }
}

bool Cgroup::can_freeze() const {
  const auto unified = directory_of("");
  return (unified && path_exists(*unified / "cgroup.freeze")) || directory_of("freezer").has_value();
}

void Cgroup::freeze() const {
  const auto unified = directory_of("");
  if (unified && path_exists(*unified / "cgroup.freeze")) {
    write_control_file(*unified / "cgroup.freeze", "1");
    try {
      return wait_for_event(*unified, "frozen", 1);
    } catch (...) {
      write_control_file(*unified / "cgroup.freeze", "0");
      throw;
    }
  }
  const auto freezer = directory_of("freezer");
  if (!freezer) throw Error(ErrorKind::Unavailable, "this machine has no freezer for processes");
  freeze_v1(*freezer);
}

void Cgroup::thaw() const {
  const auto unified = directory_of("");
  if (unified && path_exists(*unified / "cgroup.freeze")) return write_control_file(*unified / "cgroup.freeze", "0");
  const auto freezer = directory_of("freezer");
  if (!freezer) throw Error(ErrorKind::Unavailable, "this machine has no freezer for processes");
  write_control_file(*freezer / "freezer.state", "THAWED");
}

bool Cgroup::is_frozen() const {
  if (const auto unified = directory_of("")) {
    if (const auto state = find_file(*unified / "cgroup.freeze", 64)) return trim(*state) == "1";
  }
  const auto freezer = directory_of("freezer");
  if (!freezer) return false;
  return trim(find_file(*freezer / "freezer.state", 64).value_or("")) != "THAWED" && path_exists(*freezer);
}

std::vector<pid_t> Cgroup::pids() const {
  std::vector<pid_t> all;
  // Hybrid: a process started by others may be in one of the two worlds only.
  bool has_v1 = false;
  for (const Directory& directory : directories_) {
    if (directory.is_unified) {
      collect_pids(directory.path, all);
    } else if (!has_v1) {
      has_v1 = true;
      collect_pids(directory.path, all);
    }
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

bool Cgroup::is_empty() const {
  const auto unified = directory_of("");
  if (unified && cgroup_layout() == CgroupLayout::V2) {
    const auto events = find_file(*unified / "cgroup.events", kMaxControlFile);
    return !events || event_value(*events, "populated").value_or(0) == 0;
  }
  return pids().empty();
}

std::uint64_t Cgroup::oom_kills() const {
  if (const auto unified = directory_of("")) {
    if (const auto events = find_file(*unified / "memory.events", kMaxControlFile)) {
      return event_value(*events, "oom_kill").value_or(0);
    }
  }
  const auto memory = directory_of("memory");
  if (!memory) return 0;
  return event_value(find_file(*memory / "memory.oom_control", kMaxControlFile).value_or(""), "oom_kill").value_or(0);
}

void Cgroup::remove(std::chrono::milliseconds patience) const {
  const std::int64_t end = monotonic_ms() + patience.count();
  int pause_us = 200;
  for (const Directory& directory : directories_) {
    for (;;) {
      try {
        remove_group(directory.path);
        break;
      } catch (const Error& error) {
        if (error.error_number() != EBUSY || monotonic_ms() >= end) throw;
      }
      std::this_thread::sleep_for(std::chrono::microseconds(pause_us));
      pause_us = std::min(pause_us * 2, 20000);
    }
  }
}

std::optional<Fd> Cgroup::open_unified_directory() const {
  const auto directory = directory_of("");
  if (!directory) return std::nullopt;
  return open_file(*directory, O_PATH | O_DIRECTORY);
}

std::vector<Fd> Cgroup::open_tasks_files() const {
  std::vector<Fd> files;
  for (const Directory& directory : directories_) {
    if (!directory.is_unified) files.push_back(open_file(directory.path / "tasks", O_WRONLY));
  }
  return files;
}

void Cgroup::add_process(pid_t pid) const {
  for (const Directory& directory : directories_) {
    write_control_file(directory.path / "cgroup.procs", std::to_string(pid));
  }
}

std::optional<fs::path> Cgroup::directory_of(std::string_view controller) const {
  for (const Directory& directory : directories_) {
    if (controller.empty()
            ? directory.is_unified
            : !directory.is_unified && CgroupHierarchy{directory.controllers, {}, false}.has(controller)) {
      return directory.path;
    }
  }
  return std::nullopt;
}

std::vector<std::pair<std::string, fs::path>> Cgroup::v1_directories() const {
  std::vector<std::pair<std::string, fs::path>> result;
  for (const CgroupHierarchy& hierarchy : cgroup_mounts().hierarchies) {
    if (hierarchy.is_unified) continue;
    for (const Directory& directory : directories_) {
      if (!directory.is_unified && directory.controllers == hierarchy.controllers) {
        result.emplace_back(hierarchy.mount_point.filename().native(), directory.path);
      }
    }
  }
  return result;
}

}  // namespace ctr
