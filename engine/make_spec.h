// From Docker's Config and HostConfig to the OCI spec of one start. Everything that depends on this moment (paths of
// namespaces to join, pinned mounts, our init) comes in as values, so that the same inputs give the same spec; only
// device nodes are looked up on the host.
#pragma once

#include <optional>
#include <vector>

#include "base/file.h"
#include "engine/container_record.h"
#include "runtime/spec.h"

namespace ctr {

struct SpecInputs {
  fs::path etc_directory;  // holds hosts, hostname, resolv.conf of this container (or of the one whose network it joins)
  std::optional<fs::path> network_namespace;  // joined; absent: as the network mode says
  std::optional<fs::path> pid_namespace;
  std::optional<fs::path> ipc_namespace;
  std::optional<fs::path> emulator_namespace;  // the user namespace in which programs of another architecture run
  fs::path shm_source;      // a tmpfs to share as /dev/shm; empty: the container's own
  fs::path init_program;    // ctr-init, if the container wants one
  std::vector<MountSpec> mounts;  // of the user, parents before children
  StringMap default_ulimits;
};

/// The spec of `record`. Throws Invalid in Docker's words for devices and options that can't be.
Spec make_spec(const ContainerRecord& record, const SpecInputs& inputs);

/// Where ctr-init is bound in a container with --init.
inline constexpr const char* kInitInContainer = "/sbin/docker-init";

enum class NetworkMode { None, Host, Container, Networks };
NetworkMode network_mode_of(const HostConfig& host);

}  // namespace ctr
