#include "base/time.h"

#include <time.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "base/text.h"

namespace ctr {

using std::chrono::nanoseconds;
using std::chrono::seconds;

Time now() { return std::chrono::time_point_cast<nanoseconds>(std::chrono::system_clock::now()); }

namespace {

std::string format_seconds(std::chrono::sys_seconds time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  std::array<char, 64> buffer;
  std::snprintf(buffer.data(), buffer.size(), "%04d-%02u-%02uT%02d:%02d:%02d", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()));
  return buffer.data();
}

std::string decimals_of(Time time) {
  const auto fraction = (time - std::chrono::floor<seconds>(time)).count();
  return std::to_string(1000000000 + fraction).substr(1);
}

/// A fixed-width unsigned number at the start of `text`, removed from it.
std::optional<int> take_number(std::string_view& text, std::size_t digits) {
  if (text.size() < digits) return std::nullopt;
  const auto value = parse_uint(text.substr(0, digits));
  if (!value) return std::nullopt;
  text.remove_prefix(digits);
  return static_cast<int>(*value);
}

bool take(std::string_view& text, char expected) {
  if (!text.starts_with(expected)) return false;
  text.remove_prefix(1);
  return true;
}

std::optional<std::chrono::sys_days> take_date(std::string_view& text) {
  const auto year = take_number(text, 4);
  if (!year || !take(text, '-')) return std::nullopt;
  const auto month = take_number(text, 2);
  if (!month || !take(text, '-')) return std::nullopt;
  const auto day = take_number(text, 2);
  if (!day) return std::nullopt;
  const std::chrono::year_month_day date(std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day)));
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days(date);
}

std::optional<seconds> take_clock(std::string_view& text) {
  const auto hour = take_number(text, 2);
  if (!hour || *hour > 23 || !take(text, ':')) return std::nullopt;
  const auto minute = take_number(text, 2);
  if (!minute || *minute > 59 || !take(text, ':')) return std::nullopt;
  const auto second = take_number(text, 2);
  if (!second || *second > 60) return std::nullopt;
  return seconds(*hour * 3600 + *minute * 60 + *second);
}

nanoseconds take_fraction(std::string_view& text) {
  if (!text.starts_with('.')) return nanoseconds(0);
  text.remove_prefix(1);
  std::int64_t value = 0;
  int digits = 0;
  while (!text.empty() && text.front() >= '0' && text.front() <= '9') {
    if (digits < 9) {
      value = value * 10 + (text.front() - '0');
      ++digits;
    }
    text.remove_prefix(1);
  }
  for (; digits < 9; ++digits) value *= 10;
  return nanoseconds(value);
}

std::optional<seconds> take_offset(std::string_view& text) {
  if (take(text, 'Z') || take(text, 'z')) return seconds(0);
  const bool west = text.starts_with('-');
  if (!west && !text.starts_with('+')) return std::nullopt;
  text.remove_prefix(1);
  const auto hours = take_number(text, 2);
  if (!hours || !take(text, ':')) return std::nullopt;
  const auto minutes = take_number(text, 2);
  if (!minutes) return std::nullopt;
  const seconds offset(*hours * 3600 + *minutes * 60);
  return west ? -offset : offset;
}

/// The system clock cannot hold years outside 1678 to 2261 in nanoseconds.
bool is_representable(std::chrono::sys_days day) {
  using namespace std::chrono;
  return day > sys_days(year(1678) / 1 / 1) && day < sys_days(year(2261) / 1 / 1);
}

}  // namespace

std::string format_time_seconds(Time time) { return format_seconds(std::chrono::floor<seconds>(time)) + "Z"; }

std::string format_time_fixed(Time time) {
  return format_seconds(std::chrono::floor<seconds>(time)) + "." + decimals_of(time) + "Z";
}

std::string format_time(Time time) {
  std::string decimals = decimals_of(time);
  decimals.erase(decimals.find_last_not_of('0') + 1);
  const std::string whole = format_seconds(std::chrono::floor<seconds>(time));
  return decimals.empty() ? whole + "Z" : whole + "." + decimals + "Z";
}

std::optional<Time> parse_time(std::string_view text) {
  const auto day = take_date(text);
  if (!day || !is_representable(*day)) return std::nullopt;
  if (!take(text, 'T') && !take(text, 't') && !take(text, ' ')) return std::nullopt;
  const auto clock = take_clock(text);
  if (!clock) return std::nullopt;
  const nanoseconds fraction = take_fraction(text);
  const auto offset = take_offset(text);
  if (!offset || !text.empty()) return std::nullopt;
  return Time(*day) + *clock - *offset + fraction;
}

std::optional<Time> parse_time_argument(std::string_view text, Time reference) {
  if (const auto time = parse_time(text)) return time;
  if (const auto duration = parse_duration(text); duration && text.find_first_not_of("0123456789.") != text.npos) {
    return reference - *duration;
  }
  if (text.find_first_not_of("0123456789.") == std::string_view::npos && !text.empty()) {
    std::string_view rest = text;
    const std::size_t digits = std::min(rest.find('.'), rest.size());
    const auto whole = parse_int(rest.substr(0, digits));
    if (!whole || *whole > 9000000000) return std::nullopt;
    rest.remove_prefix(digits);
    const nanoseconds fraction = take_fraction(rest);
    return rest.empty() ? std::optional(Time(seconds(*whole)) + fraction) : std::nullopt;
  }
  std::string_view rest = text;
  const auto day = take_date(rest);
  if (!day || !is_representable(*day)) return std::nullopt;
  if (rest.empty()) return Time(*day);
  if (!take(rest, 'T')) return std::nullopt;
  const auto clock = take_clock(rest);
  if (!clock) return std::nullopt;
  const nanoseconds fraction = take_fraction(rest);
  return rest.empty() ? std::optional(Time(*day) + *clock + fraction) : std::nullopt;
}

std::string format_time_local(Time time) {
  const std::time_t whole = std::chrono::floor<seconds>(time).time_since_epoch().count();
  std::tm local = {};
  ::localtime_r(&whole, &local);
  std::array<char, 64> buffer;
  std::strftime(buffer.data(), buffer.size(), "%Y-%m-%d %H:%M:%S %z %Z", &local);
  return buffer.data();
}

std::string human_duration(nanoseconds duration) {
  const auto whole = std::chrono::duration_cast<seconds>(duration).count();
  if (whole < 1) return "Less than a second";
  if (whole == 1) return "1 second";
  if (whole < 60) return std::to_string(whole) + " seconds";
  const auto minutes = whole / 60;
  if (minutes == 1) return "About a minute";
  if (minutes < 60) return std::to_string(minutes) + " minutes";
  const auto hours = (whole + 1800) / 3600;
  if (hours == 1) return "About an hour";
  if (hours < 48) return std::to_string(hours) + " hours";
  if (hours < 24 * 7 * 2) return std::to_string(hours / 24) + " days";
  if (hours < 24 * 30 * 2) return std::to_string(hours / 24 / 7) + " weeks";
  if (hours < 24 * 365 * 2) return std::to_string(hours / 24 / 30) + " months";
  return std::to_string(hours / 24 / 365) + " years";
}

std::int64_t monotonic_ms() {
  struct timespec time = {};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

}  // namespace ctr
