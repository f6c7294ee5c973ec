// What a build tells while it runs: numbered steps with their lines, in the order in which they happen. The builder
// decides what is said (BuildKit's words), whoever implements BuildProgress decides how it looks (plain, tty, quiet).
// Calls come from several threads; the builder serialises them, so that an implementation needs no lock.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace ctr {

/// Number of a step as `#5` in the plain output: given in the order in which steps are first shown, from 1.
using StepNumber = int;

enum class StepStream { Out, Err };

/// How a step ended. `Cancelled` steps were running when another one failed.
enum class StepEnd { Done, Cached, Failed, Cancelled };

/// A line below a step that moves: "transferring context", "sha256:6e2…", "exporting layers".
struct StepStatus {
  std::string text;
  std::uint64_t current = 0;
  std::uint64_t total = 0;  ///< 0 if it is not known or does not matter
  bool is_bytes = false;    ///< current and total are bytes
  bool is_done = false;
};

class BuildProgress {
 public:
  virtual ~BuildProgress() = default;

  /// A step begins: `[2/3] WORKDIR /home/node/app`, `[internal] load .dockerignore`, `exporting to image`.
  virtual void step_started(StepNumber step, std::string_view title) = 0;

  /// Bytes that the step's process wrote, uncut and in order; not necessarily whole lines.
  virtual void step_output(StepNumber step, StepStream stream, std::string_view bytes) = 0;

  virtual void step_status(StepNumber step, const StepStatus& status) = 0;

  /// The end of a step; `message` is empty unless it failed. A cached step was never "started" for long: its elapsed
  /// time says nothing and is not shown.
  virtual void step_ended(StepNumber step, StepEnd end, std::chrono::nanoseconds elapsed, std::string_view message) = 0;

  /// A line of `--explain` for the step: why it hit or missed the cache.
  virtual void step_explained(StepNumber step, std::string_view reason) = 0;

  /// How many steps the build has, for "[+] Building (5/8)"; may grow while stages are found.
  virtual void steps_known(int total) = 0;

  /// Does what needs the terminal for itself: nothing is drawn meanwhile.
  virtual void interrupted(const std::function<void()>& act) { act(); }

  /// A warning of the Dockerfile checks, or of the builder itself ("--load does nothing here: …").
  virtual void warned(std::string_view message) = 0;
};

}  // namespace ctr
