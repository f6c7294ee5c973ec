// Programs of other architectures, in RUN steps and containers. This machine's own and what the host's binfmt_misc
// already runs need nothing. Otherwise qemu-user is looked for on the host and registered in a binfmt_misc of a user
// namespace (Linux 6.7), so that nothing has to be set up first and nothing stays.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/fd.h"
#include "base/file.h"
#include "image/platform.h"

namespace ctr {

struct Spec;

enum class Execution { Native, Registered, Emulated };

/// How programs of that platform run here. Throws Unavailable, in one sentence with the package's name, if they don't.
Execution execution_of(const Platform& platform);

/// Whether the host's own binfmt_misc may be written to where the kernel has none for user namespaces.
enum class HostRegistration { Refused, Allowed };

/// A user namespace with every id mapped to itself and a binfmt_misc of its own. A process that does nothing holds both
/// as long as this lives.
class EmulatorNamespace {
 public:
  /// Throws Unavailable if the kernel has no such thing.
  EmulatorNamespace();
  ~EmulatorNamespace();
  EmulatorNamespace(const EmulatorNamespace&) = delete;
  EmulatorNamespace& operator=(const EmulatorNamespace&) = delete;

  fs::path path() const;

  /// Mounts both below a directory, where they outlive this; returns the path of the user namespace there.
  fs::path pin(const fs::path& directory) const;
  /// Takes the mounts of `pin` away, if they are there.
  static void unpin(const fs::path& directory) noexcept;

 private:
  pid_t holder_ = -1;
  int binfmt_ = -1;  // the holder's descriptor of the mount
  Fd lifeline_;      // the holder ends when this is closed
};

/// A network that was made outside of the container's user namespace shows no sysfs of its own: the host's stands in.
void show_outer_sysfs(Spec& spec);
/// Makes the container one of that user namespace.
void enter_emulation(Spec& spec, const fs::path& user_namespace);

/// What the steps of one build share. Safe for use by several threads.
class Emulators {
 public:
  explicit Emulators(HostRegistration registration) : registration_(registration) {}

  /// The user namespace in which programs of that platform run; nothing if they run anywhere.
  std::optional<fs::path> user_namespace(const Platform& platform);

 private:
  HostRegistration registration_;
  std::mutex mutex_;
  std::unique_ptr<EmulatorNamespace> namespace_;
};

/// The user namespace for one container, pinned below `directory`; nothing if its programs run anywhere.
std::optional<fs::path> pin_emulation(const Platform& platform, HostRegistration registration, const fs::path& directory);

}  // namespace ctr
