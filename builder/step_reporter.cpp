#include "builder/step_reporter.h"

#include <fcntl.h>

#include <algorithm>

#include "base/error.h"
#include "builder/build.h"

namespace ctr {

namespace {
constexpr std::size_t kTailBytes = 64 * 1024;
}

StepNumber StepReporter::start(std::string_view title) {
  const std::lock_guard lock(mutex_);
  const StepNumber number = ++last_;
  steps_[number].started = std::chrono::steady_clock::now();
  progress_.step_started(number, title);
  return number;
}

void StepReporter::output(StepNumber step, StepStream stream, std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  Step& reported = steps_[step];
  keep(step, reported, bytes);
  std::string& tail = reported.tail;
  tail.append(bytes);
  reported.lines += static_cast<std::size_t>(std::count(bytes.begin(), bytes.end(), '\n'));
  if (tail.size() > 2 * kTailBytes) {
    tail.erase(0, tail.size() - kTailBytes);
    reported.is_cut = true;
  }
  progress_.step_output(step, stream, bytes);
}

void StepReporter::keep(StepNumber number, Step& step, std::string_view bytes) {
  if (logs_.empty()) return;
  try {
    if (!step.log) {
      make_directories(logs_, 0700);
      step.log = open_file(log_path(number), O_WRONLY | O_CREAT | O_APPEND, 0600);
    }
    write_all(step.log.get(), as_bytes(bytes));
  } catch (const Error& error) {
    // A full disk ends the build where it matters, not here.
    logs_.clear();
    progress_.warned(std::string("what the steps print is not kept: ") + error.what());
  }
}

void StepReporter::interrupt(const std::function<void()>& act) {
  const std::lock_guard lock(mutex_);
  progress_.interrupted(act);
}

void StepReporter::status(StepNumber step, const StepStatus& status) {
  const std::lock_guard lock(mutex_);
  progress_.step_status(step, status);
}

void StepReporter::explain(StepNumber step, std::string_view reason) {
  const std::lock_guard lock(mutex_);
  progress_.step_explained(step, reason);
}

void StepReporter::end(StepNumber step, StepEnd end, std::string_view message) {
  const std::lock_guard lock(mutex_);
  const auto elapsed = std::chrono::steady_clock::now() - steps_[step].started;
  progress_.step_ended(step, end, std::chrono::duration_cast<std::chrono::nanoseconds>(elapsed), message);
  if (end != StepEnd::Failed) steps_.erase(step);
}

void StepReporter::expect(int steps) {
  const std::lock_guard lock(mutex_);
  progress_.steps_known(steps);
}

void StepReporter::warn(std::string_view message) {
  const std::lock_guard lock(mutex_);
  progress_.warned(message);
}

std::string StepReporter::tail(StepNumber step) const {
  const std::lock_guard lock(mutex_);
  const auto found = steps_.find(step);
  return found == steps_.end() ? std::string() : found->second.tail;
}

fs::path StepReporter::whole_output(StepNumber step) const {
  const std::lock_guard lock(mutex_);
  const auto found = steps_.find(step);
  if (found == steps_.end() || !found->second.log) return {};
  return found->second.is_cut || found->second.lines > kShownOutputLines ? log_path(step) : fs::path();
}

ReportedStep::~ReportedStep() {
  if (is_ended_) return;
  try {
    reporter_.end(number_, StepEnd::Failed);
  } catch (...) {
    // The error that is on its way says more than a display that broke.
  }
}

void ReportedStep::done(StepEnd end) {
  is_ended_ = true;
  reporter_.end(number_, end);
}

void ReportedStep::failed(std::string_view message) {
  is_ended_ = true;
  reporter_.end(number_, StepEnd::Failed, message);
}

}  // namespace ctr
