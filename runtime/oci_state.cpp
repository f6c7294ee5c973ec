#include "runtime/oci_state.h"

#include <algorithm>
#include <array>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/error.h"
#include "base/text.h"
#include "runtime/sandbox.h"

namespace ctr {

namespace {

constexpr std::int64_t kVersion = 1;
constexpr std::size_t kMaxIdLength = 1024;

void check_id(const std::string& id) {
  const auto is_allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '+' ||
           c == '-' || c == '.';
  };
  if (id.empty() || id.size() > kMaxIdLength || id == "." || id == ".." ||
      !std::all_of(id.begin(), id.end(), is_allowed)) {
    throw Error(ErrorKind::Invalid, "invalid container ID format: " + json_quote(id));
  }
}

}  // namespace

std::string_view status_name(OciStatus status) {
  static constexpr std::array<std::string_view, 5> kNames = {"creating", "created", "running", "paused", "stopped"};
  return kNames[static_cast<std::size_t>(status)];
}

std::optional<std::uint64_t> process_start_time(pid_t pid) {
  if (pid <= 0) return std::nullopt;
  std::string stat;
  try {
    const auto text = find_file("/proc/" + std::to_string(pid) + "/stat", 4096);
    if (!text) return std::nullopt;
    stat = *text;
  } catch (const Error&) {
    return std::nullopt;  // it ended while it was read
  }
  // The command may hold anything, but the last parenthesis ends it. State is the first field after it.
  const std::size_t end = stat.rfind(')');
  if (end == std::string::npos) return std::nullopt;
  const std::vector<std::string> fields = split_words(std::string_view(stat).substr(end + 1));
  constexpr std::size_t kStartTime = 19;
  if (fields.size() <= kStartTime || fields[0] == "Z" || fields[0] == "X") return std::nullopt;
  return parse_uint(fields[kStartTime]);
}

std::optional<Fd> open_container_process(const OciContainer& container) {
  if (container.pid <= 0) return std::nullopt;
  Fd process(static_cast<int>(::syscall(SYS_pidfd_open, container.pid, 0)));
  // Checked once the descriptor holds the process: it cannot become another one any more.
  if (!process || process_start_time(container.pid) != container.start_time) return std::nullopt;
  return process;
}

OciStore::OciStore(fs::path root) : root_(std::move(root)) {}

fs::path OciStore::directory_of(const std::string& id) const {
  check_id(id);
  return root_ / id;
}

fs::path OciStore::create(const std::string& id) const {
  const fs::path directory = directory_of(id);
  make_directories(root_, 0700);
  if (::mkdir(directory.c_str(), 0700) == 0) return directory;
  if (errno == EEXIST) throw Error(ErrorKind::Exists, "container with given ID already exists", EEXIST);
  throw_errno(errno, "make", directory.native());
}

void OciStore::save(const OciContainer& container) const {
  const Json json = Json::object({{"v", kVersion},
                                  {"id", container.id},
                                  {"pid", container.pid},
                                  {"startTime", container.start_time},
                                  {"bundle", container.bundle.native()},
                                  {"rootfs", container.rootfs.native()},
                                  {"created", container.created},
                                  {"cgroupPath", container.cgroup_path},
                                  {"owner", container.owner}});
  write_file_atomic(directory_of(container.id) / "state.json", json.dump(), Durability::Cached, 0600);
}

OciContainer OciStore::load(const std::string& id) const {
  const auto text = find_file(directory_of(id) / "state.json", kMiB);
  if (!text) throw Error(ErrorKind::NotFound, "container does not exist", ENOENT);
  const Json json = Json::parse(*text, "state.json");
  if (json.require_int("v") > kVersion) throw Error(ErrorKind::Unavailable, "state.json is from a newer version");
  OciContainer container;
  container.id = json.require_string("id");
  container.pid = static_cast<pid_t>(json.require_int("pid"));
  container.start_time = json.find_uint("startTime").value_or(0);
  container.bundle = json.require_string("bundle");
  container.rootfs = json.string_or("rootfs");
  container.created = json.string_or("created");
  container.cgroup_path = json.string_or("cgroupPath");
  container.owner = static_cast<std::uint32_t>(json.find_uint("owner").value_or(0));
  return container;
}

std::vector<OciContainer> OciStore::list() const {
  std::vector<OciContainer> all;
  for (const std::string& id : list_directory(root_)) {
    try {
      all.push_back(load(id));
    } catch (const Error&) {
      continue;  // being made or removed, or not ours
    }
  }
  return all;
}

void OciStore::remove(const std::string& id) const {
  remove_tree(directory_of(id));
}

Bundle OciStore::load_config(const std::string& id) const {
  return load_bundle(directory_of(id));
}

OciStatus OciStore::status_of(const OciContainer& container) const {
  if (container.pid == 0) return OciStatus::Creating;
  if (!open_container_process(container)) return OciStatus::Stopped;
  if (has_start_gate(directory_of(container.id))) return OciStatus::Created;
  const auto group = cgroup_of(container);
  return group && group->is_frozen() ? OciStatus::Paused : OciStatus::Running;
}

std::optional<Cgroup> OciStore::cgroup_of(const OciContainer& container) {
  if (container.cgroup_path.empty()) return std::nullopt;
  Cgroup group = Cgroup::open(container.cgroup_path);
  if (!group.exists()) return std::nullopt;
  return group;
}

}  // namespace ctr
