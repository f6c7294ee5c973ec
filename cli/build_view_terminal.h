// A live screen: "[+] Building 1.2s (5/8)", a line a step, the last lines of what running steps print. Redrawn at most
// ten times a second; at the end it stands there as it is.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "engine/builds.h"

namespace ctr {

class TerminalBuildView final : public BuildProgress {
 public:
  explicit TerminalBuildView(int fd);
  ~TerminalBuildView() override;

  void step_started(StepNumber step, std::string_view title) override;
  void step_output(StepNumber step, StepStream stream, std::string_view bytes) override;
  void step_status(StepNumber step, const StepStatus& status) override;
  void step_ended(StepNumber step, StepEnd end, std::chrono::nanoseconds elapsed, std::string_view message) override;
  void step_explained(StepNumber step, std::string_view reason) override;
  void steps_known(int total) override;
  void warned(std::string_view message) override;
  void interrupted(const std::function<void()>& act) override;

 private:
  using Clock = std::chrono::steady_clock;
  enum class State { Running, Done, Cached, Failed, Cancelled };
  struct Step {
    std::string title;
    Clock::time_point start;
    std::chrono::nanoseconds elapsed{0};
    State state = State::Running;
    std::string partial;
    std::deque<std::string> output;
    std::vector<StepStatus> statuses;
    std::string reason;
  };

  void tick();
  void redraw(bool is_last);
  void draw_step(const Step& step, bool is_last, std::vector<std::string>& rows) const;
  std::string row(std::string left, std::chrono::nanoseconds elapsed, const char* colour) const;

  const int fd_;
  const bool has_colour_;
  const Clock::time_point start_ = Clock::now();
  std::mutex mutex_;
  std::condition_variable ended_;
  std::map<StepNumber, Step> steps_;
  std::vector<std::string> warnings_;
  int total_ = 0;
  std::size_t drawn_ = 0;
  bool is_ended_ = false;
  std::thread ticker_;
};

}  // namespace ctr
