#include "shim/health_monitor.h"

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "base/time.h"

namespace ctr {

namespace {

constexpr std::size_t kMaxProbes = 5;
constexpr std::size_t kMaxOutput = 4096;
constexpr int kCouldNotRun = -1;

std::int64_t to_ms(std::int64_t ns) {
  return ns / 1'000'000;
}

}  // namespace

bool HealthVerdict::add(ProbeResult result, bool in_start_period) {
  const std::string before = report_.status;
  if (result.exit_code == 0) {
    report_.failing_streak = 0;
    report_.status = "healthy";
  } else if (before != "starting" || !in_start_period) {
    ++report_.failing_streak;
    if (report_.failing_streak >= settings_.retries) report_.status = "unhealthy";
  }
  report_.log.push_back(std::move(result));
  if (report_.log.size() > kMaxProbes) report_.log.erase(report_.log.begin());
  return report_.status != before;
}

HealthMonitor::HealthMonitor(EventLoop& loop, const HealthSettings& settings, Host host)
    : loop_(loop), settings_(settings), host_(std::move(host)), verdict_(settings), started_ms_(monotonic_ms()) {
  schedule();
}

HealthMonitor::~HealthMonitor() {
  loop_.cancel(timer_);
  if (!probe_) return;
  loop_.forget(probe_->pidfd());
  loop_.forget(output_.get());
  try {
    probe_->kill(SIGKILL);
    probe_->wait();
  } catch (const Error&) {
    // It went with the container.
  }
}

void HealthMonitor::suspend() {
  is_suspended_ = true;
  loop_.cancel(timer_);
}

void HealthMonitor::go_on() {
  is_suspended_ = false;
  if (probe_) {
    wait_for_probe();
  } else {
    schedule();
  }
}

bool HealthMonitor::in_start_period() const {
  return monotonic_ms() - started_ms_ < to_ms(settings_.start_period_ns);
}

void HealthMonitor::schedule() {
  if (is_suspended_) return;  // a probe that had ended just before: a new one would not get out of clone3
  const bool is_early = report().status == "starting" && in_start_period();
  const std::int64_t interval = to_ms(is_early ? settings_.start_interval_ns : settings_.interval_ns);
  timer_ = loop_.after_ms(interval, [this] { start_probe(); });
}

void HealthMonitor::start_probe() {
  result_ = {};
  result_.start = format_time(now());
  is_cut_ = false;
  is_late_ = false;
  try {
    Pipe pipe = make_pipe(O_NONBLOCK);
    // The probe's own end blocks, as a program expects.
    check(::fcntl(pipe.write.get(), F_SETFL, 0), "set a pipe blocking");
    output_ = std::move(pipe.read);
    probe_ = host_.start_probe(pipe.write.get());
  } catch (const Error& error) {
    output_.reset();
    result_.output = error.what();
    finish_probe(kCouldNotRun);
    return;
  }
  loop_.watch(output_.get(), EPOLLIN, [this](std::uint32_t) { read_output(); });
  loop_.watch(probe_->pidfd(), EPOLLIN, [this](std::uint32_t) {
    loop_.forget(probe_->pidfd());
    const ExitStatus status = probe_->wait();
    loop_.cancel(timer_);
    read_output();
    finish_probe(is_late_ ? kCouldNotRun : status.shell_code());
  });
  wait_for_probe();
}

void HealthMonitor::wait_for_probe() {
  timer_ = loop_.after_ms(to_ms(settings_.timeout_ns), [this] { on_timeout(); });
}

void HealthMonitor::on_timeout() {
  is_late_ = true;
  result_.output =
      "Health check exceeded timeout (" + format_duration(std::chrono::nanoseconds(settings_.timeout_ns)) + ")";
  probe_->kill(SIGKILL);
}

void HealthMonitor::read_output() {
  char buffer[kMaxOutput];
  while (output_) {
    const ssize_t count = ::read(output_.get(), buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) {
      loop_.forget(output_.get());
      output_.reset();
      return;
    }
    if (is_late_ || is_cut_) continue;
    const std::size_t room = kMaxOutput - result_.output.size();
    result_.output.append(buffer, std::min(static_cast<std::size_t>(count), room));
    if (static_cast<std::size_t>(count) > room) {
      is_cut_ = true;
      result_.output.replace(kMaxOutput - 3, 3, "...");
    }
  }
}

void HealthMonitor::finish_probe(int exit_code) {
  if (output_) loop_.forget(output_.get());
  output_.reset();
  probe_.reset();
  result_.exit_code = exit_code;
  result_.end = format_time(now());
  const bool is_new = verdict_.add(std::move(result_), in_start_period());
  schedule();
  host_.report(verdict_.report(), is_new);
}

}  // namespace ctr
