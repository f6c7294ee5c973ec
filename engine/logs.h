// Reads what a container wrote: the json-file log and its rotated files as one stream of entries, oldest first, and
// follows it while the container lives. A line that a killed shim left unfinished is salvaged. Never writes.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/file.h"

namespace ctr {

struct LogEntry {
  enum class Stream { Stdout, Stderr };
  Stream stream = Stream::Stdout;
  std::int64_t time_ns = 0;    // since 1970
  std::string_view time_text;  // as the file has it
  std::string_view text;       // raw bytes, with the newline if the line ended here; valid during the call
  bool begins_line = true;     // false: continues the stream's entry before
};

struct LogQuery {
  std::optional<std::int64_t> since_ns;  // entries at or after
  std::optional<std::int64_t> until_ns;  // entries before
  std::optional<std::uint64_t> tail;     // the last so many lines
  bool follow = false;
  bool timestamps = false;  // only for print_logs
  bool details = false;     // only for print_logs: a column for attributes, of which our drivers have none
};

/// Calls `on_entry` for each entry that fits until it returns false. Following ends when the shim of `run_dir` is dead
/// and everything was read.
void read_logs(const fs::path& container_dir, const fs::path& run_dir, const LogQuery& query,
               const std::function<bool(const LogEntry&)>& on_entry);

/// Writes the entries to two descriptors, as `ctr logs` does; with timestamps "2026-… text" at each line's beginning.
void print_logs(const fs::path& container_dir, const fs::path& run_dir, const LogQuery& query, int output, int error);

/// "2013-01-02T13:23:37Z", "2013-01-02", "1700000000.5" or "42m" (before now) to nanoseconds since 1970; Invalid.
std::int64_t parse_log_time(std::string_view text);

/// Ends an unfinished last line that a killed shim left, so that each line of the file is a JSON object again.
/// REQUIRES: the caller holds the container's shim.lock.
void repair_log(const fs::path& container_dir);

}  // namespace ctr
