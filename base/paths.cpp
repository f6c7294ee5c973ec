#include "base/paths.h"

#include <unistd.h>

#include <cstdlib>

#include "base/text.h"
#include "base/user_namespace.h"

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

/// The store of who called sudo, else of whoever's home this is.
fs::path store_of_caller() {
  const std::string caller = environment("SUDO_USER");
  if (caller.empty()) return user_store();
  for (const std::string& line : split(find_file("/etc/passwd").value_or(""), '\n')) {
    const std::vector<std::string> fields = split(line, ':');
    if (fields.size() > 5 && fields[0] == caller) return fs::path(fields[5]) / ".local/share/ctr";
  }
  return user_store();
}

fs::path user_run() {
  const std::string run = environment("XDG_RUNTIME_DIR");
  if (!run.empty()) return fs::path(run) / "ctr";
  // Where a login would have made it; else a place of our own, which user_session.cpp looks at before it trusts it.
  const std::string user = std::to_string(invoking_user());
  if (const fs::path usual = "/run/user/" + user; ::access(usual.c_str(), W_OK) == 0) return usual / "ctr";
  return "/tmp/ctr-run-" + user;
}

constexpr const char* kRootStore = "/var/lib/ctr";

}  // namespace

Paths find_paths(const fs::path& root) {
  Paths paths;
  paths.is_rootless = invoking_user() != 0;
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
  const fs::path other = paths.is_rootless ? fs::path(kRootStore) : store_of_caller();
  if (other == paths.root) return std::nullopt;
  // Another's store may be closed to us: that it is there is all that can be said then.
  std::error_code denied;
  const bool is_store = path_exists(other / "version") || (fs::is_directory(other, denied) && ::access(other.c_str(), X_OK) != 0);
  return is_store ? std::optional(other) : std::nullopt;
}

}  // namespace ctr
