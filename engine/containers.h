// The life of containers: create, start, stop, list, inspect, remove. Each function takes a name, an id or a unique prefix
// where it says `container`, and throws Error with Docker's sentence (NotFound: "No such container: x"). Attaching to
// a started container's streams is attach_client.h; processes inside it are exec.h; its files are container_files.h.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "engine/container_config.h"
#include "engine/container_record.h"
#include "engine/container_state.h"
#include "engine/context.h"
#include "engine/filters.h"
#include "engine/shim_client.h"
#include "image/platform.h"

namespace ctr {

struct CreateRequest {
  std::string name;  // empty: a generated one
  ContainerConfig config;  // config.image names the image
  HostConfig host;
  NetworkingConfig networking;
  std::optional<Platform> platform;  // absent: this machine's, or DOCKER_DEFAULT_PLATFORM
};

struct CreatedContainer {
  std::string id;
  std::string name;
  std::vector<std::string> warnings;  // without "WARNING: "
};

/// The image must be in the store (images.h: find_image, pull_image); else throws NotFound "No such image: x".
CreatedContainer create_container(Context& context, const CreateRequest& request);

struct StartRequest {
  std::uint32_t attach_streams = 0;  // kAttachStdin | …: attached from the first byte on; 0: detached
  TerminalSize terminal;             // with a terminal: its size before the first program runs; zeros: none
};
struct StartedContainer {
  std::string id;
  int pid = 0;
  Fd connection;  // for attach(); empty if detached
  std::vector<std::string> warnings;
  bool was_running = false;  // then nothing was done but attaching
};

/// The command could not be executed: exit_status() is 125, 126 or 127 and the message is Docker's.
using StartError = ShimStartError;

StartedContainer start_container(Context& context, const std::string& container, const StartRequest& request);

struct StopRequest {
  std::optional<int> timeout_seconds;  // absent: the container's; -1: wait for ever
  std::string signal;                  // empty: the container's
};
void stop_container(Context& context, const std::string& container, const StopRequest& request);
/// Stops it if it runs, then starts it.
void restart_container(Context& context, const std::string& container, const StopRequest& request);
/// `signal` as Docker accepts it: KILL, SIGKILL, 9, RTMIN+1.
void kill_container(Context& context, const std::string& container, const std::string& signal);
void pause_container(Context& context, const std::string& container);
void unpause_container(Context& context, const std::string& container);
void rename_container(Context& context, const std::string& container, const std::string& new_name);
/// Tells the shim the size of the terminal.
void resize_container(Context& context, const std::string& container, int rows, int columns);

enum class RemoveForce { No, Yes };
enum class RemoveVolumes { No, Yes };
/// Returns the id. Throws Busy in Docker's words if it runs and force is No.
std::string remove_container(Context& context, const std::string& container, RemoveForce force, RemoveVolumes volumes);

enum class WaitCondition { NotRunning, NextExit, Removed };
struct WaitResult {
  int exit_status = 0;
  std::string error;
};
WaitResult wait_container(Context& context, const std::string& container, WaitCondition condition);

/// What `update` changes; absent fields stay.
struct UpdateRequest {
  std::optional<std::int64_t> cpu_shares, memory, memory_swap, memory_reservation, nano_cpus, cpu_period, cpu_quota,
      cpu_realtime_period, cpu_realtime_runtime, pids_limit;
  std::optional<std::string> cpuset_cpus, cpuset_mems;
  std::optional<std::uint16_t> blkio_weight;
  std::optional<RestartPolicy> restart_policy;
  PortMap publish;                     // -p: ports to add
  std::vector<std::string> unpublish;  // "8080/tcp": ports to take away
};
/// Returns warnings.
std::vector<std::string> update_container(Context& context, const std::string& container, const UpdateRequest& request);

/// A published or exposed port of a container, as `ps` and `port` show it.
struct PortSummary {
  std::string ip;
  std::uint16_t private_port = 0;
  std::uint16_t public_port = 0;  // 0: only exposed
  std::string type;               // tcp, udp, sctp
};

struct ContainerSummary {
  ContainerRecord record;
  ContainerState state;
  std::string image;    // the name that was asked for, or the image id ("sha256:…") once the name means another image
  std::string command;  // "path arg arg", uncut
  std::vector<PortSummary> ports;
  std::vector<std::string> networks;
  std::string status;  // "Up 5 minutes"
  std::int64_t size_rw = -1;       // if asked for
  std::int64_t size_root_fs = -1;  // if asked for
};

struct ListContainersRequest {
  bool all = false;
  bool size = false;
  int last = 0;  // -n; 0: no limit. Implies all.
  Filters filters;
};
/// The filters of `ps`.
Filters parse_container_filters(const std::vector<std::string>& texts);
std::vector<ContainerSummary> list_containers(Context& context, const ListContainersRequest& request);
/// The object that Docker's /containers/json has for it.
Json to_json(const ContainerSummary& summary);

enum class WithSize { No, Yes };
/// Docker's document of one container, as `inspect` prints it.
Json inspect_container(Context& context, const std::string& container, WithSize size);

std::vector<PortSummary> container_ports(Context& context, const ContainerRecord& record);
/// "0.0.0.0:8080->80/tcp, 443/tcp", ranges collapsed as Docker does.
std::string port_words(const std::vector<PortSummary>& ports);

struct PruneReport {
  std::vector<std::string> deleted;
  std::uint64_t space_reclaimed = 0;
};
PruneReport prune_containers(Context& context, const Filters& filters);

/// The shim's last act (the hidden command `container-cleanup`), and what any command does that finds a shim dead: takes
/// the network away, removes cgroup, mounts and run directory, and for --rm the container. Safe to repeat.
void cleanup_container(Context& context, const std::string& id);
/// After a reboot: starts the containers that should run. Returns their names, each with its error if it failed.
struct StartAllResult {
  std::string name;
  std::string error;
};
std::vector<StartAllResult> start_all_containers(Context& context);

}  // namespace ctr
