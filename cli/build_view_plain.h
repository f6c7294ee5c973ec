// BuildKit's plain lines: "#5 [2/3] WORKDIR /app", "#5 CACHED", "#6 0.213 output", "#6 DONE 0.1s".
#pragma once

#include <chrono>
#include <map>
#include <string>

#include "engine/builds.h"

namespace ctr {

class PlainBuildView final : public BuildProgress {
 public:
  explicit PlainBuildView(int fd) : fd_(fd) {}

  void step_started(StepNumber step, std::string_view title) override;
  void step_output(StepNumber step, StepStream stream, std::string_view bytes) override;
  void step_status(StepNumber step, const StepStatus& status) override;
  void step_ended(StepNumber step, StepEnd end, std::chrono::nanoseconds elapsed, std::string_view message) override;
  void step_explained(StepNumber step, std::string_view reason) override;
  void steps_known(int) override {}
  void warned(std::string_view message) override;

 private:
  using Clock = std::chrono::steady_clock;
  struct Step {
    std::string title;
    Clock::time_point start;
    std::string partial;  // an output line that has not ended
    std::map<std::string, Clock::time_point> statuses;
  };

  /// A line of a step, with its title again when another step was shown in between.
  void line(StepNumber step, const std::string& text);
  void output_line(StepNumber step, Step& state, std::string_view text);
  void write(const std::string& text);

  int fd_;
  std::map<StepNumber, Step> steps_;
  StepNumber shown_ = 0;
};

/// "0.1s"
std::string seconds_words(std::chrono::nanoseconds duration);

/// The numbers of a status: "1.2MB / 3.4MB".
std::string status_numbers(const StepStatus& status);

}  // namespace ctr
