// A container for tests of shims: directories as engine/ makes them, a busybox root filesystem, and the real ctr-shim.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/file.h"
#include "engine/shim_client.h"
#include "runtime/network_service.h"
#include "runtime/spec.h"
#include "shim/protocol.h"

namespace ctr {

class HeldContainer {
 public:
  explicit HeldContainer(std::vector<std::string> args);
  ~HeldContainer();

  Spec spec;
  ShimSettings settings;
  const NetworkService* network = nullptr;  // for start()

  const fs::path& directory() const { return directory_; }
  const fs::path& run_directory() const { return run_directory_; }

  /// Writes the files and starts the shim.
  StartedShim start(std::uint32_t streams = 0);
  StartedShim start_exec(const std::string& exec_id, const std::vector<std::string>& args, std::uint32_t streams,
                         const ExecSettings& exec = {});
  ShimConnection connect() const;
  /// Waits until no shim holds the container.
  void wait_until_dead() const;
  /// Waits until the condition holds; throws after ten seconds.
  static void wait_for(const std::function<bool()>& condition);

  ProcessExit exit() const;
  /// The log's text, both streams together.
  std::string log() const;

  struct Run {
    std::string output;
    std::string error;
    int status = -1;
  };
  /// Attaches, feeds `input`, collects until the end.
  static Run attend(StartedShim started, const std::string& input = {});

 private:
  TempDirectory top_;
  fs::path directory_;
  fs::path run_directory_;
};

}  // namespace ctr
