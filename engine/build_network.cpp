// The network of a build's RUN steps. A killed build leaves its network behind: the lock of its directory under
// $CTR_RUN/build-networks/ tells whoever comes next that nobody needs it any more.

#include "base/error.h"
#include "base/file.h"
#include "base/lock.h"
#include "base/random.h"
#include "engine/build_services.h"
#include "runtime/bridge_network.h"
#include "runtime/resolver_files.h"

namespace ctr {
namespace {

constexpr std::size_t kIdBytes = 32;

fs::path networks_directory(const Paths& paths) { return paths.run / "build-networks"; }

class HostBuildNetwork final : public BuildNetwork {
 public:
  fs::path namespace_path() const override { return {}; }
  std::string resolv_conf() const override { return resolver_file(read_host_resolver_config()); }
  std::string hosts() const override { return {}; }
};

class BridgedBuildNetwork final : public BuildNetwork {
 public:
  BridgedBuildNetwork(const Paths& paths, const NetworkRecord& network)
      : paths_(paths), id_(random_hex(kIdBytes)), directory_(networks_directory(paths) / id_), lock_(take_lock()) {
    NetworkRequest request;
    request.container_id = id_;
    request.container_name = id_;
    request.netns = directory_ / "netns";
    request.networks = {{network, EndpointRequest{}}};
    try {
      setup_ = set_up_network(paths_, request);
    } catch (const Error&) {
      remove_tree(directory_);
      throw;
    }
  }
  ~BridgedBuildNetwork() override {
    try {
      setup_.service = {};  // its hold says that the network is in use
      release_network(paths_, id_);
      remove_tree(directory_);
      retire_idle_networks(paths_, WhenIdle::Now);
    } catch (const std::exception&) {
      // The next command finds it.
    }
  }
  BridgedBuildNetwork(const BridgedBuildNetwork&) = delete;
  BridgedBuildNetwork& operator=(const BridgedBuildNetwork&) = delete;

  fs::path namespace_path() const override { return setup_.network.netns; }
  std::string resolv_conf() const override { return resolver_file(without_loopback_servers(read_host_resolver_config())); }
  std::string hosts() const override { return {}; }

 private:
  FileLock take_lock() const {
    make_directories(directory_, 0700);
    return FileLock::acquire(directory_ / "lock", LockMode::Exclusive);
  }

  Paths paths_;
  std::string id_;
  fs::path directory_;
  FileLock lock_;
  NetworkSetup setup_;
};

}  // namespace

std::unique_ptr<BuildNetwork> open_build_network(Context& context, const std::string& mode) {
  if (mode == "host") return std::make_unique<HostBuildNetwork>();
  const Paths& paths = context.paths();
  if (mode.empty() || mode == "default" || mode == kDefaultNetwork) {
    return std::make_unique<BridgedBuildNetwork>(paths, default_network(paths));
  }
  const std::optional<NetworkRecord> network = find_network(paths, mode);
  if (!network) throw Error(ErrorKind::NotFound, "network " + mode + " not found");
  return std::make_unique<BridgedBuildNetwork>(paths, *network);
}

void tidy_dead_build_networks(Context& context) {
  const fs::path directory = networks_directory(context.paths());
  for (const std::string& id : list_directory(directory)) {
    const std::optional<FileLock> lock = FileLock::try_acquire(directory / id / "lock", LockMode::Exclusive);
    if (!lock) continue;
    release_network(context.paths(), id);
    remove_tree(directory / id);
  }
}

}  // namespace ctr
