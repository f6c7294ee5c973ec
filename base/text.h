// Text as people and files write it: splitting, numbers, sizes, durations, and the nearest word for a misspelt one.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ctr {

/// The parts between separators; empty parts are kept, and an empty text gives one empty part.
std::vector<std::string> split(std::string_view text, char separator);
/// At most `parts` parts; the last one keeps its separators.
std::vector<std::string> split_at_most(std::string_view text, char separator, std::size_t parts);
/// The words between blanks (space, tab, newline).
std::vector<std::string> split_words(std::string_view text);
/// The two sides of the first separator; nothing when there is none.
std::optional<std::pair<std::string, std::string>> cut(std::string_view text, char separator);
std::string join(std::span<const std::string> parts, std::string_view separator);
std::string_view trim(std::string_view text);
std::string lower(std::string_view text);
std::string upper(std::string_view text);
std::string replace_all(std::string text, std::string_view from, std::string_view to);
/// The text without that prefix or suffix, or the text itself.
std::string_view without_prefix(std::string_view text, std::string_view prefix);
std::string_view without_suffix(std::string_view text, std::string_view suffix);

/// The whole text as a decimal number; nothing when it is anything else or out of range.
std::optional<std::int64_t> parse_int(std::string_view text);
std::optional<std::uint64_t> parse_uint(std::string_view text, int base = 10);
std::optional<double> parse_double(std::string_view text);
/// Go's strconv.ParseBool: 1 t T true TRUE True, 0 f F false FALSE False.
std::optional<bool> parse_bool(std::string_view text);

/// "64m", "1.5g", "512": bytes, units of 1024 with optional "b" or "ib", any case. Nothing when malformed or negative.
std::optional<std::int64_t> parse_size(std::string_view text);
/// Go's time.ParseDuration: "1h2m3.5s", "300ms", "0". Nothing when malformed.
std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text);
/// Go's Duration.String: "1m30s", "1.5s", "0s".
std::string format_duration(std::chrono::nanoseconds duration);

/// Docker's decimal sizes with three digits: "0B", "512B", "1.23kB", "277MB".
std::string human_size(double bytes);
/// The same with units of 1024: "1.5MiB", "64MiB".
std::string human_size_binary(double bytes);

/// The candidate nearest to a misspelt word, when it is near enough to be meant.
std::optional<std::string> nearest_word(std::string_view word, std::span<const std::string> candidates);

}  // namespace ctr
