// Programs of other architectures in RUN steps. This machine's own and what the host's binfmt_misc already runs need
// nothing. Otherwise qemu-user is looked for on the host and registered in a binfmt_misc of a user namespace that lives
// as long as the build (Linux 6.7), so that nothing has to be set up and nothing stays.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/file.h"
#include "image/platform.h"

namespace ctr {

/// Safe for use by several threads.
class Emulators {
 public:
  Emulators();
  ~Emulators();
  Emulators(const Emulators&) = delete;
  Emulators& operator=(const Emulators&) = delete;

  /// Throws Unavailable if nothing here runs programs of that platform, in one sentence with the package's name.
  void check(const Platform& platform);

  /// The user namespace in which programs of that platform run; nothing if they run anywhere.
  std::optional<fs::path> user_namespace(const Platform& platform);

 private:
  class Namespace;

  std::mutex mutex_;
  std::unique_ptr<Namespace> namespace_;
};

}  // namespace ctr
