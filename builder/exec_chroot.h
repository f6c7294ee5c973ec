// A RUN step where no container can be made: root in a container of a CI system, without the right to mount or to make
// namespaces. The command runs in the step's file system by chroot and shares everything else with the build: its
// processes, its network, its rights. The user is warned.
#pragma once

#include <string>
#include <vector>

#include "base/file.h"
#include "base/process.h"
#include "runtime/sandbox.h"

namespace ctr {

/// Whether chroot can be had where containers cannot.
bool can_chroot();

/// What a program expects and an image does not have: /dev/null and its like, and how names are resolved. Made before
/// the step, taken away after it; `paths` are those that are never part of the layer.
class ChrootFiles {
 public:
  ChrootFiles(const fs::path& root, const std::string& hosts, const std::string& resolvers);
  ~ChrootFiles();
  ChrootFiles(const ChrootFiles&) = delete;
  ChrootFiles& operator=(const ChrootFiles&) = delete;

  const std::vector<std::string>& paths() const noexcept { return paths_; }

 private:
  void replace(const std::string& path, const std::string& content);

  Fd root_;
  std::vector<std::string> paths_;
  std::vector<std::string> replaced_;
};

/// Starts it as that user (in Docker's syntax) of that file system, as a session of its own that dies with the calling
/// thread. Throws SandboxError when it can't be executed.
ChildProcess start_in_chroot(const fs::path& root, const ProcessSpec& process, const std::string& user,
                             const Stdio& streams);

}  // namespace ctr
