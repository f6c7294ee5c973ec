#include "cli/build_view_plain.h"

#include <unistd.h>

#include <array>
#include <cstdio>

#include "base/text.h"

namespace ctr {

std::string seconds_words(std::chrono::nanoseconds duration) {
  std::array<char, 32> buffer;
  std::snprintf(buffer.data(), buffer.size(), "%.1fs", std::chrono::duration<double>(duration).count());
  return buffer.data();
}

std::string status_numbers(const StepStatus& status) {
  if (!status.is_bytes) return {};
  const std::string current = human_size(static_cast<double>(status.current));
  return status.total == 0 ? current : current + " / " + human_size(static_cast<double>(status.total));
}

void PlainBuildView::write(const std::string& text) {
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t count = ::write(fd_, rest.data(), rest.size());
    if (count <= 0) return;
    rest.remove_prefix(static_cast<std::size_t>(count));
  }
}

void PlainBuildView::line(StepNumber step, const std::string& text) {
  std::string out;
  const std::string mark = "#" + std::to_string(step) + " ";
  if (shown_ != step) {
    if (shown_ != 0) out += "\n";
    out += mark + steps_[step].title + "\n";
    shown_ = step;
  }
  if (!text.empty()) out += mark + text + "\n";
  write(out);
}

void PlainBuildView::step_started(StepNumber step, std::string_view title) {
  steps_[step] = {std::string(title), Clock::now(), {}, {}};
  line(step, {});
}

void PlainBuildView::output_line(StepNumber step, Step& state, std::string_view text) {
  std::array<char, 32> time;
  std::snprintf(time.data(), time.size(), "%.3f ", std::chrono::duration<double>(Clock::now() - state.start).count());
  // What a carriage return would have overwritten is not shown.
  text = without_suffix(text, "\r");
  if (const std::size_t at = text.rfind('\r'); at != std::string_view::npos) text.remove_prefix(at + 1);
  line(step, time.data() + std::string(text));
}

void PlainBuildView::step_output(StepNumber step, StepStream, std::string_view bytes) {
  Step& state = steps_[step];
  state.partial.append(bytes);
  std::size_t start = 0;
  for (std::size_t end; (end = state.partial.find('\n', start)) != std::string::npos; start = end + 1) {
    output_line(step, state, std::string_view(state.partial).substr(start, end - start));
  }
  state.partial.erase(0, start);
}

void PlainBuildView::step_status(StepNumber step, const StepStatus& status) {
  Step& state = steps_[step];
  const Clock::time_point now = Clock::now();
  const auto [entry, is_new] = state.statuses.try_emplace(status.text, now);
  if (!status.is_done && !is_new && now - entry->second < std::chrono::seconds(5)) return;
  if (!status.is_done && is_new && status.is_bytes) return;
  entry->second = now;
  std::string text = status.text;
  if (const std::string numbers = status_numbers(status); !numbers.empty()) text += " " + numbers;
  if (status.is_done) text += " done";
  line(step, text);
}

void PlainBuildView::step_ended(StepNumber step, StepEnd end, std::chrono::nanoseconds elapsed, std::string_view message) {
  Step& state = steps_[step];
  if (!state.partial.empty()) {
    output_line(step, state, state.partial);
    state.partial.clear();
  }
  switch (end) {
    case StepEnd::Done:
      return line(step, "DONE " + seconds_words(elapsed));
    case StepEnd::Cached:
      return line(step, "CACHED");
    case StepEnd::Cancelled:
      return line(step, "CANCELED");
    case StepEnd::Failed:
      return line(step, message.empty() ? "ERROR" : "ERROR: " + std::string(message));
  }
}

void PlainBuildView::step_explained(StepNumber step, std::string_view reason) { line(step, "why: " + std::string(reason)); }

void PlainBuildView::warned(std::string_view message) {
  write((shown_ != 0 ? "\n" : "") + std::string("WARNING: ") + std::string(message) + "\n");
}

}  // namespace ctr
