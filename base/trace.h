// Where the time of a command goes: spans that `ctr --trace FILE` writes as a Chrome trace. Without it a span costs
// one comparison.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/file.h"

namespace ctr {

/// Starts collecting; the file is written by write_trace. Call once, before threads are made.
void start_trace(const fs::path& file);
/// Writes what was collected since start_trace; does nothing without it.
void write_trace();
bool is_tracing() noexcept;

/// Measures its own life. `name` should be constant and short, `detail` says on what.
class TraceSpan {
 public:
  explicit TraceSpan(std::string_view name, std::string_view detail = {});
  ~TraceSpan();
  TraceSpan(const TraceSpan&) = delete;
  TraceSpan& operator=(const TraceSpan&) = delete;

 private:
  std::string name_;
  std::string detail_;
  std::int64_t start_ns_ = -1;
};

}  // namespace ctr
