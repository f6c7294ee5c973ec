// Numbers the steps of a build and passes their events on, one at a time. Threads may report freely. All that steps
// print is kept: a file a step, in a directory of the build's own.
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/file.h"
#include "builder/build_progress.h"

namespace ctr {

class StepReporter {
 public:
  /// Without a directory nothing is kept.
  explicit StepReporter(BuildProgress& progress, fs::path logs = {}) : progress_(progress), logs_(std::move(logs)) {}

  StepNumber start(std::string_view title);
  void output(StepNumber step, StepStream stream, std::string_view bytes);
  void status(StepNumber step, const StepStatus& status);
  void explain(StepNumber step, std::string_view reason);
  void end(StepNumber step, StepEnd end, std::string_view message = {});
  void expect(int steps);
  void warn(std::string_view message);
  /// Does what needs the terminal for itself; nothing is reported meanwhile.
  void interrupt(const std::function<void()>& act);

  /// The last lines that a step printed, for the report of a failure.
  std::string tail(StepNumber step) const;
  /// The file with everything that a step printed, if that is more than its tail.
  fs::path whole_output(StepNumber step) const;

 private:
  struct Step {
    std::chrono::steady_clock::time_point started;
    std::string tail;
    std::size_t lines = 0;
    bool is_cut = false;
    Fd log;
  };
  void keep(StepNumber number, Step& step, std::string_view bytes);
  fs::path log_path(StepNumber step) const { return logs_ / (std::to_string(step) + ".log"); }

  mutable std::mutex mutex_;
  BuildProgress& progress_;
  fs::path logs_;
  StepNumber last_ = 0;
  std::map<StepNumber, Step> steps_;
};

/// A step that ends with its scope: done, or failed if an exception leaves it.
class ReportedStep {
 public:
  ReportedStep(StepReporter& reporter, std::string_view title) : reporter_(reporter), number_(reporter.start(title)) {}
  ~ReportedStep();
  ReportedStep(const ReportedStep&) = delete;
  ReportedStep& operator=(const ReportedStep&) = delete;

  StepNumber number() const noexcept { return number_; }
  void status(const StepStatus& status) { reporter_.status(number_, status); }
  void done(StepEnd end = StepEnd::Done);
  /// Ends it as failed, with the reason; a step that is destroyed before it ended has failed without one.
  void failed(std::string_view message);

 private:
  StepReporter& reporter_;
  StepNumber number_;
  bool is_ended_ = false;
};

}  // namespace ctr
