// Whether and when a container that ended is started again: Docker's policies and its back-off. Only decides.
#pragma once

#include <cstdint>
#include <optional>

#include "shim/protocol.h"

namespace ctr {

class RestartSchedule {
 public:
  struct End {
    std::int32_t exit_code = 0;
    std::int64_t ran_ms = 0;
    bool was_unhealthy = false;  // the shim ended it because its health check failed
  };

  /// The delay before the next start, or nothing if there is none. Counts it.
  std::optional<std::int64_t> next_delay_ms(const RestartSettings& settings, const End& end);

  std::int32_t count() const noexcept { return count_; }

 private:
  std::int32_t count_ = 0;
  std::int64_t delay_ms_ = 0;
};

}  // namespace ctr
