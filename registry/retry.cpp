#include "registry/retry.h"

#include <algorithm>
#include <thread>
#include <time.h>

#include "base/random.h"
#include "base/text.h"

namespace ctr {
namespace {

constexpr std::chrono::seconds kLongestRetryAfter{60};

// Between a half and the whole of the delay, so that many clients don't come back at once.
std::chrono::milliseconds with_jitter(std::chrono::milliseconds delay) {
  const auto random = parse_uint(random_hex(2), 16).value_or(0);
  return delay / 2 + delay * static_cast<std::int64_t>(random) / (2 * 65536);
}

}  // namespace

bool is_retryable(int status) noexcept {
  return status == 408 || status == 425 || status == 429 || status == 500 || status == 502 || status == 503 ||
         status == 504;
}

bool is_retryable(TransportFailure failure) noexcept {
  return failure == TransportFailure::Connect || failure == TransportFailure::Timeout ||
         failure == TransportFailure::Broken;
}

std::optional<std::chrono::milliseconds> RetryBudget::next(std::optional<std::chrono::seconds> retry_after) {
  if (++used_ >= policy_.attempts) return std::nullopt;
  if (retry_after) return std::max<std::chrono::milliseconds>(*retry_after, std::chrono::milliseconds(0));
  const auto delay = policy_.first_delay * (std::int64_t{1} << std::min(used_ - 1, 16));
  return with_jitter(std::min<std::chrono::milliseconds>(delay, policy_.longest_delay));
}

void RetryBudget::wait(std::chrono::milliseconds delay) const {
  if (policy_.sleep) {
    policy_.sleep(delay);
  } else {
    std::this_thread::sleep_for(delay);
  }
}

std::optional<std::chrono::seconds> parse_retry_after(const std::optional<std::string>& value) {
  if (!value) return std::nullopt;
  if (const auto seconds = parse_uint(trim(*value))) {
    return std::min(kLongestRetryAfter,
                    std::chrono::seconds(static_cast<std::int64_t>(std::min<std::uint64_t>(*seconds, 3600))));
  }
  tm parts{};
  const char* end = ::strptime(value->c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  if (end == nullptr) return std::nullopt;
  const std::chrono::seconds wait(::timegm(&parts) - ::time(nullptr));
  return std::clamp(wait, std::chrono::seconds(0), kLongestRetryAfter);
}

}  // namespace ctr
