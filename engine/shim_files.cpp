#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>

#include "engine/shim_client.h"

namespace ctr {

namespace {

constexpr std::uint64_t kFileLimit = 4 * kMiB;

std::optional<Json> find_json(const fs::path& path) {
  const std::optional<std::string> text = find_file(path, kFileLimit);
  if (!text) return std::nullopt;
  return Json::parse(*text, path.native());
}

}  // namespace

bool is_shim_alive(const fs::path& directory) {
  const std::optional<Fd> lock = find_at(AT_FDCWD, directory / kShimLock, O_RDONLY);
  if (!lock) return false;
  // Held for microseconds if it is free; a shim that starts just now tries again.
  while (::flock(lock->get(), LOCK_SH | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return true;
    if (errno != EINTR) throw_errno(errno, "look at", (directory / kShimLock).native());
  }
  return false;
}

std::optional<ShimState> find_shim_state(const fs::path& directory) {
  const std::optional<Json> json = find_json(directory / kStateFile);
  return json ? std::optional(shim_state_from_json(*json)) : std::nullopt;
}

std::optional<HealthReport> find_health_report(const fs::path& directory) {
  const std::optional<Json> json = find_json(directory / kHealthFile);
  return json ? std::optional(health_report_from_json(*json)) : std::nullopt;
}

std::optional<ProcessExit> find_process_exit(const fs::path& directory) {
  const std::optional<Json> json = find_json(directory / kExitFile);
  return json ? std::optional(process_exit_from_json(*json)) : std::nullopt;
}

}  // namespace ctr
