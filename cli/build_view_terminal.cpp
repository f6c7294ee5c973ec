#include "cli/build_view_terminal.h"

#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "base/text.h"
#include "cli/build_view_plain.h"
#include "cli/listing.h"
#include "cli/output.h"

namespace ctr {

namespace {

constexpr std::size_t kOutputLines = 6;
constexpr const char* kBlue = "\x1b[34m";
constexpr const char* kRed = "\x1b[31m";

std::size_t terminal_height(int fd) {
  struct winsize size = {};
  return ::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_row > 4 ? size.ws_row : 24;
}

/// A program's output must not move our cursor: control characters go, tabs become blanks.
std::string printable(std::string_view text) {
  if (const std::size_t at = without_suffix(text, "\r").rfind('\r'); at != std::string_view::npos) text.remove_prefix(at + 1);
  std::string out;
  bool in_escape = false;
  for (const char c : text) {
    if (c == '\x1b') {
      in_escape = true;
    } else if (in_escape) {
      in_escape = !((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'));
    } else if (c == '\t') {
      out += "  ";
    } else if (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f) {
      out.push_back(c);
    }
  }
  return out;
}

}  // namespace

TerminalBuildView::TerminalBuildView(int fd) : fd_(fd), has_colour_(wants_colour(fd)) {
  // The ticker must not take the signals that the builder waits for.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  ticker_ = std::thread([this] { tick(); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TerminalBuildView::~TerminalBuildView() {
  {
    const std::lock_guard guard(mutex_);
    is_ended_ = true;
  }
  ended_.notify_all();
  ticker_.join();
  redraw(true);
}

void TerminalBuildView::tick() {
  std::unique_lock guard(mutex_);
  while (!ended_.wait_for(guard, std::chrono::milliseconds(100), [this] { return is_ended_; })) redraw(false);
}

void TerminalBuildView::step_started(StepNumber step, std::string_view title) {
  const std::lock_guard guard(mutex_);
  steps_[step].title = title;
  steps_[step].start = Clock::now();
}

void TerminalBuildView::step_output(StepNumber step, StepStream, std::string_view bytes) {
  const std::lock_guard guard(mutex_);
  Step& state = steps_[step];
  state.partial.append(bytes);
  std::size_t start = 0;
  for (std::size_t end; (end = state.partial.find('\n', start)) != std::string::npos; start = end + 1) {
    state.output.push_back(printable(std::string_view(state.partial).substr(start, end - start)));
    if (state.output.size() > kOutputLines) state.output.pop_front();
  }
  state.partial.erase(0, start);
}

void TerminalBuildView::step_status(StepNumber step, const StepStatus& status) {
  const std::lock_guard guard(mutex_);
  std::vector<StepStatus>& statuses = steps_[step].statuses;
  const auto known = std::find_if(statuses.begin(), statuses.end(), [&](const StepStatus& other) { return other.text == status.text; });
  if (known != statuses.end()) {
    *known = status;
  } else {
    statuses.push_back(status);
  }
}

void TerminalBuildView::step_ended(StepNumber step, StepEnd end, std::chrono::nanoseconds elapsed, std::string_view) {
  const std::lock_guard guard(mutex_);
  Step& state = steps_[step];
  state.elapsed = elapsed;
  state.state = end == StepEnd::Done     ? State::Done
                : end == StepEnd::Cached ? State::Cached
                : end == StepEnd::Failed ? State::Failed
                                         : State::Cancelled;
}

void TerminalBuildView::step_explained(StepNumber step, std::string_view reason) {
  const std::lock_guard guard(mutex_);
  steps_[step].reason = reason;
}

void TerminalBuildView::steps_known(int total) {
  const std::lock_guard guard(mutex_);
  total_ = total;
}

/// What was drawn stays where it is; drawing goes on below whatever came meanwhile.
void TerminalBuildView::interrupted(const std::function<void()>& act) {
  const std::lock_guard lock(mutex_);
  redraw(false);
  drawn_ = 0;
  act();
}

void TerminalBuildView::warned(std::string_view message) {
  const std::lock_guard guard(mutex_);
  warnings_.emplace_back(message);
}

std::string TerminalBuildView::row(std::string left, std::chrono::nanoseconds elapsed, const char* colour) const {
  const auto width = static_cast<std::size_t>(std::max(40, terminal_width(fd_)));
  const std::string right = seconds_words(elapsed);
  left = ellipsis(left, width - right.size() - 2);
  const std::string gap(width - text_columns(left) - right.size() - 1, ' ');
  const std::string text = left + gap + right;
  return has_colour_ && colour != nullptr ? colour + text + "\x1b[0m" : text;
}

void TerminalBuildView::draw_step(const Step& step, bool is_last, std::vector<std::string>& rows) const {
  const bool is_running = step.state == State::Running;
  const auto elapsed = is_running ? std::chrono::nanoseconds(Clock::now() - step.start) : step.elapsed;
  const char* mark = step.state == State::Cached      ? " => CACHED "
                     : step.state == State::Failed    ? " => ERROR "
                     : step.state == State::Cancelled ? " => CANCELED "
                                                      : " => ";
  const char* colour = step.state == State::Failed ? kRed : is_running ? nullptr : kBlue;
  rows.push_back(row(mark + step.title, elapsed, colour));
  if (!step.reason.empty()) rows.push_back(row(" => => why: " + step.reason, std::chrono::nanoseconds(0), nullptr));
  for (const StepStatus& status : step.statuses) {
    if (!is_running && !is_last) continue;
    rows.push_back(row(" => => " + status.text + " " + status_numbers(status), elapsed, status.is_done ? kBlue : nullptr));
  }
  if (!is_running || is_last) return;
  for (const std::string& line : step.output) rows.push_back(row(" => => # " + line, elapsed, nullptr));
}

void TerminalBuildView::redraw(bool is_last) {
  const auto finished = std::count_if(steps_.begin(), steps_.end(), [](const auto& entry) { return entry.second.state != State::Running; });
  const auto total = std::max<std::size_t>(static_cast<std::size_t>(total_), steps_.size());
  const bool is_complete = is_last && std::none_of(steps_.begin(), steps_.end(), [](const auto& entry) { return entry.second.state == State::Failed; });
  std::vector<std::string> rows = {"[+] Building " + seconds_words(Clock::now() - start_) + " (" + std::to_string(finished) +
                                   "/" + std::to_string(total) + ")" + (is_complete ? " FINISHED" : "")};
  for (const auto& [number, step] : steps_) draw_step(step, is_last, rows);
  for (const std::string& warning : warnings_) rows.push_back("WARNING: " + warning);
  // Only what fits can be redrawn; the end shows everything.
  const std::size_t room = terminal_height(fd_) - 1;
  if (!is_last && rows.size() > room) rows.erase(rows.begin() + 1, rows.begin() + 1 + static_cast<std::ptrdiff_t>(rows.size() - room));
  std::string text = drawn_ > 0 ? "\x1b[" + std::to_string(drawn_) + "A" : "";
  for (const std::string& line : rows) text += "\r" + line + "\x1b[K\n";
  text += "\x1b[J";
  drawn_ = rows.size();
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t count = ::write(fd_, rest.data(), rest.size());
    if (count <= 0) return;
    rest.remove_prefix(static_cast<std::size_t>(count));
  }
}

}  // namespace ctr
