#include "builder/run_environment.h"

#include <sys/stat.h>

#include <cstdlib>
#include <utility>

#include "base/error.h"
#include "base/random.h"
#include "base/trace.h"
#include "builder/exec_chroot.h"
#include "builder/step_reporter.h"
#include "runtime/cgroup.h"
#include "runtime/user_session.h"

namespace ctr {

namespace {

constexpr std::uint64_t kSecretLimit = 500 * 1024;

}  // namespace

RunEnvironment::RunEnvironment(const Store& store, const BuildRequest& request, const BuildServices& services)
    : store_(store), request_(request), services_(services), emulators_(request.host_registration) {}

RunEnvironment::~RunEnvironment() {
  networks_.clear();
  agents_.clear();
  if (cgroup_.empty()) return;
  try {
    Cgroup::open(cgroup_).remove();
  } catch (const Error&) {
    // An empty group costs nothing.
  }
}

const BuildNetwork* RunEnvironment::network(const std::string& mode) {
  if (mode == "none") return nullptr;
  const std::lock_guard lock(mutex_);
  const auto found = networks_.find(mode);
  if (found != networks_.end()) return found->second.get();
  if (!services_.open_network)
    throw Error(ErrorKind::Unavailable, "there is no network \"" + mode + "\" for RUN steps here (use --network none)");
  const TraceSpan span("make network");
  return networks_.emplace(mode, services_.open_network(mode)).first->second.get();
}

const fs::path& RunEnvironment::scratch_directory() {
  const std::lock_guard lock(mutex_);
  if (!scratch_) {
    make_directories(store_.run() / "builds", 0700);
    scratch_.emplace(store_.run() / "builds", "build");
  }
  return scratch_->path();
}

std::string RunEnvironment::cgroup_path() {
  const std::lock_guard lock(mutex_);
  if (cgroup_.empty()) {
    const std::string parent = request_.cgroup_parent.empty() ? "/ctr" : request_.cgroup_parent;
    cgroup_ = parent + "/build-" + random_hex(6);
    ResourcesSpec limits;
    if (request_.limits.memory_bytes != 0) {
      limits.memory.limit = static_cast<std::int64_t>(request_.limits.memory_bytes);
      limits.memory.swap = 2 * *limits.memory.limit;
    }
    if (request_.limits.cpus > 0) {
      limits.cpu.period = 100'000;
      limits.cpu.quota = static_cast<std::int64_t>(request_.limits.cpus * 100'000);
    }
    const bool has_limits = request_.limits.memory_bytes != 0 || request_.limits.cpus > 0;
    Cgroup::create(cgroup_, limits, has_limits ? CgroupPolicy::Required : CgroupPolicy::BestEffort);
  }
  return cgroup_;
}

std::optional<std::string> RunEnvironment::secret(const std::string& id) const {
  for (const SecretSpec& secret : request_.secrets) {
    if (secret.id != id) continue;
    if (secret.type == SecretSpec::Type::File) {
      return in_context("secret " + id, [&] { return read_file(secret.source, kSecretLimit); });
    }
    const char* value = ::getenv(secret.source.c_str());
    if (value == nullptr) return std::nullopt;
    return std::string(value);
  }
  return std::nullopt;
}

std::optional<fs::path> RunEnvironment::ssh_agent(const std::string& id) {
  for (const SshSpec& forward : request_.ssh) {
    if (forward.id != id) continue;
    if (!forward.paths.empty()) {
      struct ::stat info = {};
      check(::stat(forward.paths.front().c_str(), &info), "stat", forward.paths.front());
      if (S_ISSOCK(info.st_mode)) return fs::absolute(forward.paths.front());
      const fs::path directory = scratch_directory() / ("ssh-" + Digest::of(id).hex().substr(0, 12));
      const std::lock_guard lock(mutex_);
      std::unique_ptr<KeyAgent>& agent = agents_[id];
      if (!agent) agent = std::make_unique<KeyAgent>(directory, forward.paths);
      return agent->socket();
    }
    const char* socket = ::getenv("SSH_AUTH_SOCK");
    if (socket == nullptr)
      throw Error(ErrorKind::Invalid, "invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set");
    return fs::absolute(socket);
  }
  return std::nullopt;
}

std::string RunEnvironment::seccomp_filter(const Json& profile, const std::function<std::string()>& compile) {
  const fs::path file = store_.root() / "seccomp" / ("build-" + Digest::of(profile.dump()).hex() + ".bpf");
  if (auto known = find_file(file, kMiB); known && !known->empty() && known->size() % 8 == 0) return *known;
  const TraceSpan span("compile seccomp filter");
  std::string filter = compile();
  make_directories(file.parent_path());
  write_file_atomic(file, filter, Durability::Cached);
  return filter;
}

void RunEnvironment::check_rights() {
  const std::string& reason = no_containers_reason();
  if (reason.empty() || can_chroot()) return;
  throw Error(ErrorKind::Denied, "RUN needs a container: " + reason);
}

void RunEnvironment::warn_not_isolated(StepReporter& reporter) {
  const std::lock_guard lock(mutex_);
  if (std::exchange(has_warned_, true)) return;
  reporter.warn("RUN steps are not isolated, they run by chroot with all rights of this process: " +
                no_containers_reason());
}

}  // namespace ctr
