// What the RUN steps of one build share: networks, limits, the compiled filter, secrets, agents. Made as steps ask for
// it, gone with the build.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "builder/build.h"
#include "builder/emulators.h"
#include "builder/executor.h"
#include "builder/ssh_forward.h"
#include "image/store.h"

namespace ctr {

class StepReporter;

/// Safe for several threads.
class RunEnvironment {
 public:
  RunEnvironment(const Store& store, const BuildRequest& request, const BuildServices& services);
  ~RunEnvironment();

  const Store& store() const noexcept { return store_; }
  const BuildRequest& request() const noexcept { return request_; }
  const BuildServices& services() const noexcept { return services_; }

  /// The network of that mode, made on first use; null for "none".
  const BuildNetwork* network(const std::string& mode);

  /// Who runs programs of other architectures.
  Emulators& emulators() noexcept { return emulators_; }

  /// A directory for this build's files that is gone with it, on $CTR_RUN.
  const fs::path& scratch_directory();

  /// The control group below which each step has its own, with the build's limits on it.
  std::string cgroup_path();

  /// The value of a secret; nothing if none has that id. Throws what reading it throws.
  std::optional<std::string> secret(const std::string& id) const;
  /// The socket of the agent behind `--ssh id`; nothing if none has that id.
  std::optional<fs::path> ssh_agent(const std::string& id);

  /// The layer with which a new cache mount of that id starts, if a remote cache brought one; it is in the store then.
  std::optional<Digest> cache_mount_layer(const std::string& id, StepNumber step) const {
    return find_cache_mount_ ? find_cache_mount_(id, step) : std::nullopt;
  }
  using FindCacheMount = std::function<std::optional<Digest>(const std::string& id, StepNumber step)>;
  void set_cache_mounts(FindCacheMount find) { find_cache_mount_ = std::move(find); }

  /// Throws Denied where no RUN step can run at all, saying what this process lacks.
  static void check_rights();
  /// Tells, once a build, that its steps run without a container.
  void warn_not_isolated(StepReporter& reporter);

  /// The compiled filter for a bounding set, from the store if it is there.
  std::string seccomp_filter(const Json& profile, const std::function<std::string()>& compile);

 private:
  const Store& store_;
  const BuildRequest& request_;
  const BuildServices& services_;
  FindCacheMount find_cache_mount_;
  Emulators emulators_;
  std::mutex mutex_;
  std::map<std::string, std::unique_ptr<BuildNetwork>> networks_;
  bool has_warned_ = false;
  std::optional<TempDirectory> scratch_;
  std::string cgroup_;
  std::map<std::string, std::unique_ptr<KeyAgent>> agents_;  // of key files
};

}  // namespace ctr
