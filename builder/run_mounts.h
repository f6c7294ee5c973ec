// The mounts of one RUN step: bind, cache, tmpfs, secret and ssh as mounts of an OCI spec, and what has to exist for
// them meanwhile (locks of caches, overlays of stages, secrets' files). Everything goes when this object goes.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/lock.h"
#include "base/mount.h"
#include "builder/exec_run.h"
#include "runtime/spec.h"

namespace ctr {

class RunMounts {
 public:
  RunMounts(RunEnvironment& environment, const RunStep& step);
  ~RunMounts();
  RunMounts(const RunMounts&) = delete;
  RunMounts& operator=(const RunMounts&) = delete;

  const std::vector<MountSpec>& mounts() const noexcept { return mounts_; }
  /// Variables that secrets and agents add to the environment.
  const std::vector<std::string>& variables() const noexcept { return variables_; }
  /// Targets that are directories, and those that are files: what the lowest layer has to have.
  const std::vector<std::string>& directory_targets() const noexcept { return directory_targets_; }
  const std::vector<std::string>& file_targets() const noexcept { return file_targets_; }
  /// Those of the directories that are covered by a tmpfs.
  const std::vector<std::string>& tmpfs_targets() const noexcept { return tmpfs_targets_; }

 private:
  void add(const BindMount& mount);
  void add(const CacheMount& mount);
  void add(const TmpfsMount& mount);
  void add(const SecretMount& mount);
  void add(const SshMount& mount);

  void add_bind(const fs::path& source, const std::string& target, bool is_read_only);
  fs::path prepare_cache(const CacheMount& mount, const fs::path& directory);
  fs::path new_directory(const char* name);
  /// The files of an input as a directory of this machine, whatever they are made of.
  fs::path directory_of_input(const Built& input, const std::string& source, bool is_writable);
  fs::path mount_overlay_here(const OverlayMount& overlay);
  void enter_private_namespace();

  RunEnvironment& environment_;
  const RunStep& step_;
  fs::path directory_;
  int next_ = 0;
  bool is_private_ = false;
  std::vector<MountSpec> mounts_;
  std::vector<std::string> variables_;
  std::vector<std::string> directory_targets_;
  std::vector<std::string> file_targets_;
  std::vector<std::string> tmpfs_targets_;
  std::vector<fs::path> mounted_;
  std::vector<FileLock> locks_;
  std::vector<std::unique_ptr<SshForward>> forwards_;
};

/// Where cache mounts lie in a store: cache/mounts/<digest of the id>/, with the id beside the files.
fs::path cache_mounts_directory(const fs::path& store_root);

}  // namespace ctr
