// Wall-clock time as images, logs and people write it.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace ctr {

/// Nanoseconds since 1970-01-01 UTC.
using Time = std::chrono::sys_time<std::chrono::nanoseconds>;

Time now();

/// RFC 3339 in UTC with up to nine decimals and no trailing zeros, as Go's RFC3339Nano: "2024-05-01T10:00:00.5Z".
std::string format_time(Time time);
/// The same with exactly nine decimals, as `docker logs -t` and `inspect` sort it.
std::string format_time_fixed(Time time);
/// Whole seconds: "2024-05-01T10:00:00Z".
std::string format_time_seconds(Time time);
/// RFC 3339 with any offset; nothing when malformed.
std::optional<Time> parse_time(std::string_view text);
/// What --since and --until take: RFC 3339, a date, seconds[.nanoseconds] since 1970, or a duration before `reference`.
std::optional<Time> parse_time_argument(std::string_view text, Time reference);
/// Docker's "2024-05-01 10:00:00 +0000 UTC" in the local zone.
std::string format_time_local(Time time);
/// Docker's words for a span: "Less than a second", "16 seconds", "About a minute", "5 minutes", "About an hour".
std::string human_duration(std::chrono::nanoseconds duration);
/// The zero time of Go's documents, "0001-01-01T00:00:00Z".
inline constexpr std::string_view kZeroTimeText = "0001-01-01T00:00:00Z";

/// Milliseconds of the monotonic clock.
std::int64_t monotonic_ms();

}  // namespace ctr
