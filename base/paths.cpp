#include "base/paths.h"

#include <unistd.h>

#include <cstdlib>

namespace ctr {

namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

fs::path home_directory() { return environment("HOME").empty() ? "/" : environment("HOME"); }

fs::path user_store() {
  const std::string data = environment("XDG_DATA_HOME");
  return (data.empty() ? home_directory() / ".local/share" : fs::path(data)) / "ctr";
}

fs::path user_run() {
  const std::string run = environment("XDG_RUNTIME_DIR");
  if (!run.empty()) return fs::path(run) / "ctr";
  return "/tmp/ctr-run-" + std::to_string(::geteuid());
}

constexpr const char* kRootStore = "/var/lib/ctr";

}  // namespace

Paths find_paths(const fs::path& root) {
  Paths paths;
  paths.is_rootless = ::geteuid() != 0;
  paths.root = paths.is_rootless ? user_store() : fs::path(kRootStore);
  paths.run = paths.is_rootless ? user_run() : fs::path("/run/ctr");
  if (const std::string configured = environment("CTR_ROOT"); !configured.empty()) paths.root = configured;
  if (const std::string configured = environment("CTR_RUN"); !configured.empty()) paths.run = configured;
  if (!root.empty()) paths.root = root;
  // Everything below is found again from other directories and other processes.
  paths.root = fs::absolute(paths.root).lexically_normal();
  paths.run = fs::absolute(paths.run).lexically_normal();
  return paths;
}

std::optional<fs::path> other_store(const Paths& paths) {
  const fs::path other = paths.is_rootless ? fs::path(kRootStore) : user_store();
  if (other == paths.root || !path_exists(other / "version")) return std::nullopt;
  return other;
}

}  // namespace ctr
