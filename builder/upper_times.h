// SOURCE_DATE_EPOCH for RUN: no time in the layer may depend on when the step ran.
#pragma once

#include "base/file.h"
#include "base/time.h"

namespace ctr {

/// Files that are younger than `epoch`, or were touched since `started`, get the time `epoch`; older ones, which a
/// package brought along, keep theirs.
void set_upper_times(const fs::path& upper, std::int64_t epoch, Time started);

}  // namespace ctr
