// What `ctr-oci` remembers of a container: one directory per id below --root, with state.json, the config.json that it
// was made from, the compiled filter and, until it is started, the gate. A process is known by pid and start time, so
// that a pid that was given to somebody else is never signalled.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

#include "base/fd.h"
#include "base/file.h"
#include "runtime/bundle.h"
#include "runtime/cgroup.h"

namespace ctr {

struct OciContainer {
  std::string id;
  pid_t pid = 0;
  std::uint64_t start_time = 0;
  fs::path bundle;
  fs::path rootfs;
  std::string created;
  std::string cgroup_path;
  std::uint32_t owner = 0;
};

enum class OciStatus { Creating, Created, Running, Paused, Stopped };
std::string_view status_name(OciStatus status);

class OciStore {
 public:
  explicit OciStore(fs::path root);

  /// Makes the container's directory. Throws Invalid for a bad id, Exists when it is taken.
  fs::path create(const std::string& id) const;
  fs::path directory_of(const std::string& id) const;
  void save(const OciContainer& container) const;
  /// Throws NotFound.
  OciContainer load(const std::string& id) const;
  std::vector<OciContainer> list() const;
  void remove(const std::string& id) const;
  /// The spec that the container was made from, with its compiled filter.
  Bundle load_config(const std::string& id) const;

  OciStatus status_of(const OciContainer& container) const;
  static std::optional<Cgroup> cgroup_of(const OciContainer& container);

 private:
  fs::path root_;
};

/// The start time of a process that lives, in ticks since boot; nothing for a zombie or none.
std::optional<std::uint64_t> process_start_time(pid_t pid);

/// A descriptor for the container's first process; nothing when it has ended.
std::optional<Fd> open_container_process(const OciContainer& container);

}  // namespace ctr
