#include "shim/restart_policy.h"

#include <algorithm>

namespace ctr {

namespace {

constexpr std::int64_t kFirstDelayMs = 100;
constexpr std::int64_t kLongestDelayMs = 60'000;
/// A run of this length was a success: the next failure begins anew.
constexpr std::int64_t kStableMs = 10'000;

bool wants_restart(const RestartSettings& settings, const RestartSchedule::End& end, std::int32_t count) {
  if (settings.policy == "always" || settings.policy == "unless-stopped") return true;
  const bool has_retries = settings.max_retries == 0 || count < settings.max_retries;
  if (settings.policy == "on-failure") return end.exit_code != 0 && has_retries;
  if (settings.policy == "on-unhealthy") return end.was_unhealthy && has_retries;
  return false;
}

}  // namespace

std::optional<std::int64_t> RestartSchedule::next_delay_ms(const RestartSettings& settings, const End& end) {
  if (!wants_restart(settings, end, count_)) return std::nullopt;
  if (end.ran_ms >= kStableMs) delay_ms_ = 0;
  delay_ms_ = delay_ms_ == 0 ? kFirstDelayMs : std::min(delay_ms_ * 2, kLongestDelayMs);
  ++count_;
  return delay_ms_;
}

}  // namespace ctr
