#include "builder/step_reporter.h"

namespace ctr {

namespace {
constexpr std::size_t kTailBytes = 64 * 1024;
}

StepNumber StepReporter::start(std::string_view title) {
  const std::lock_guard lock(mutex_);
  const StepNumber number = ++last_;
  steps_.emplace(number, Step{std::chrono::steady_clock::now(), {}});
  progress_.step_started(number, title);
  return number;
}

void StepReporter::output(StepNumber step, StepStream stream, std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  std::string& tail = steps_[step].tail;
  tail.append(bytes);
  if (tail.size() > 2 * kTailBytes) tail.erase(0, tail.size() - kTailBytes);
  progress_.step_output(step, stream, bytes);
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
