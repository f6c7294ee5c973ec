// A container as it is stored: what was asked for, and what is wanted of it now. Whether it runs is not in here but
// found out each time (container_state.h): the shim's lock, its state.json and exit.json are the truth.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "engine/container_config.h"
#include "shim/protocol.h"

namespace ctr {

/// A mount as `inspect` shows it in Mounts, resolved at create.
struct MountPoint {
  std::string type;    // bind, volume, tmpfs, image
  std::string name;    // of a volume
  std::string source;  // host path
  std::string destination;
  std::string driver;  // of a volume
  std::string mode;
  bool read_write = true;
  std::string propagation;
  bool anonymous = false;     // a volume that --rm and rm -v remove; not shown
  bool no_copy = false;       // a volume that gets no copy of the image's content; not shown
  std::string subpath;        // of a volume or an image; not shown
  std::string id_mapping;     // not shown
  std::string tmpfs_options;  // comma separated; not shown
  bool non_recursive = false;
  bool recursive_read_only = false;
};

enum class WantedState { Created, Running, Stopped };

struct ContainerRecord {
  std::string id;
  std::string name;
  std::string created;   // RFC 3339 with nanoseconds
  std::string image_id;  // "sha256:…" of the image's config; what prune relies on
  std::string manifest_digest;
  std::string target_digest;  // what the image's name stood for: an index, or the manifest itself
  std::string platform;  // "linux/amd64"
  std::string path;      // argv[0], after merging with the image
  std::vector<std::string> args;
  std::vector<std::string> layers;  // diff ids, lowest first
  std::string snapshot;             // id of its writable upper
  ContainerConfig config;           // merged with the image's
  HostConfig host;
  NetworkingConfig networking;
  std::vector<MountPoint> mounts;
  std::string cgroup_path;
  std::string ctr_path;  // the program that the shim spawns to tidy up
  WantedState wanted = WantedState::Created;
  bool has_been_started = false;
  std::string last_finished_at;  // end of the run before the last start; empty: there was none
  ShimSettings shim;             // the member that ctr-shim reads
};

Json to_json(const ContainerRecord& record);
ContainerRecord container_record_from_json(const Json& json);

}  // namespace ctr
