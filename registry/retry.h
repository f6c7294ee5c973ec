// When a request is worth repeating, and how long to wait before. Connect errors, broken transfers and the statuses
// 408, 425, 429, 500, 502, 503, 504 are; an answer such as 401, 403, 404 is final. The budget starts again whenever
// bytes moved, so that a long download over a bad line ends in a result.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "registry/http.h"

namespace ctr {

struct RetryPolicy {
  int attempts = 5;
  std::chrono::milliseconds first_delay{500};
  std::chrono::milliseconds longest_delay{20'000};
  std::function<void(std::chrono::milliseconds)> sleep;  ///< null: really sleeps
};

bool is_retryable(int status) noexcept;
bool is_retryable(TransportFailure failure) noexcept;

/// Counts the attempts of one task.
class RetryBudget {
 public:
  explicit RetryBudget(const RetryPolicy& policy) : policy_(policy) {}

  /// The time to wait before trying again, or none if the attempts are used up. `retry_after` is the server's wish.
  std::optional<std::chrono::milliseconds> next(std::optional<std::chrono::seconds> retry_after = {});
  void bytes_moved() noexcept { used_ = 0; }
  void wait(std::chrono::milliseconds delay) const;

 private:
  const RetryPolicy& policy_;
  int used_ = 0;
};

/// Retry-After as seconds or as an HTTP date, at most a minute.
std::optional<std::chrono::seconds> parse_retry_after(const std::optional<std::string>& value);

}  // namespace ctr
