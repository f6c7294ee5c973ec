// The network of a build's RUN steps. A killed build leaves its network behind: the lock of its directory under
// $CTR_RUN/build-networks/ tells whoever comes next that nobody needs it any more.

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <exception>
#include <optional>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "base/lock.h"
#include "base/random.h"
#include "base/user_namespace.h"
#include "engine/build_services.h"
#include "engine/networks.h"
#include "runtime/bridge_network.h"
#include "runtime/network_service.h"
#include "runtime/resolver_files.h"
#include "runtime/session_uplink.h"
#include "runtime/user_session.h"

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

/// Answers the names of a network's containers for as long as the build has steps in it: what a shim does for a
/// container.
class ServedNetwork {
 public:
  explicit ServedNetwork(NetworkService service) : stop_(check(::eventfd(0, EFD_CLOEXEC), "eventfd")) {
    server_.add(std::move(service));
    thread_ = std::thread([this] { serve(); });
  }
  ~ServedNetwork() {
    const std::uint64_t one = 1;
    if (::write(stop_.get(), &one, sizeof one) != sizeof one) std::terminate();  // an eventfd takes a one
    thread_.join();
  }
  ServedNetwork(const ServedNetwork&) = delete;
  ServedNetwork& operator=(const ServedNetwork&) = delete;

 private:
  void serve() {
    ::pollfd polled[] = {{server_.poll_fd(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
    while (polled[1].revents == 0) {
      if (::poll(polled, 2, -1) < 0 && errno != EINTR) return;
      try {
        if (polled[0].revents != 0) server_.dispatch();
      } catch (const Error&) {
        // A query that can't be answered times out in whoever asked.
      }
    }
  }

  NetworkServer server_;
  Fd stop_;
  std::thread thread_;
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
    has_resolver_ = setup_.service.resolver.has_value();
    if (has_resolver_) served_.emplace(std::move(setup_.service));
  }
  ~BridgedBuildNetwork() override {
    try {
      served_.reset();
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
  std::string resolv_conf() const override {
    ResolverConfig resolver = read_host_resolver_config();
    if (has_resolver_) return embedded_resolver_file(resolver);
    // The way out of a user's session knows the host's resolvers, those on its loopback too.
    const auto session = is_user_session() ? session_name_server(paths_) : std::nullopt;
    if (session) resolver.nameservers = {*session};
    return resolver_file(without_loopback_servers(std::move(resolver)));
  }
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
  bool has_resolver_ = false;
  std::optional<ServedNetwork> served_;
};

}  // namespace

std::unique_ptr<BuildNetwork> open_build_network(Context& context, const std::string& mode) {
  if (mode == "host") return std::make_unique<HostBuildNetwork>();
  const Paths& paths = context.paths();
  const bool is_default = mode.empty() || mode == "default" || mode == kDefaultNetwork;
  const std::optional<NetworkRecord> network = is_default ? std::nullopt : find_network(paths, mode);
  if (!is_default && !network) throw Error(ErrorKind::NotFound, "network " + mode + " not found");
  // Steps need the way out that the build itself has, where a network of their own would have none.
  if (!no_containers_reason().empty()) return std::make_unique<HostBuildNetwork>();
  if (const auto uplink = connect_session(paths); is_default && uplink && !uplink->name_server) {
    return std::make_unique<HostBuildNetwork>();
  }
  return std::make_unique<BridgedBuildNetwork>(paths, is_default ? default_network(context) : *network);
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
