#include "base/text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <limits>
#include <numeric>

namespace ctr {

std::vector<std::string> split(std::string_view text, char separator) {
  return split_at_most(text, separator, std::numeric_limits<std::size_t>::max());
}

std::vector<std::string> split_at_most(std::string_view text, char separator, std::size_t parts) {
  std::vector<std::string> result;
  while (result.size() + 1 < parts) {
    const std::size_t end = text.find(separator);
    if (end == std::string_view::npos) break;
    result.emplace_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  result.emplace_back(text);
  return result;
}

std::vector<std::string> split_words(std::string_view text) {
  std::vector<std::string> words;
  constexpr std::string_view kBlanks = " \t\n\r\v\f";
  for (;;) {
    const std::size_t start = text.find_first_not_of(kBlanks);
    if (start == std::string_view::npos) return words;
    text.remove_prefix(start);
    const std::size_t end = std::min(text.find_first_of(kBlanks), text.size());
    words.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
  }
}

std::optional<std::pair<std::string, std::string>> cut(std::string_view text, char separator) {
  const std::size_t at = text.find(separator);
  if (at == std::string_view::npos) return std::nullopt;
  return std::pair{std::string(text.substr(0, at)), std::string(text.substr(at + 1))};
}

std::string join(std::span<const std::string> parts, std::string_view separator) {
  std::string result;
  for (const std::string& part : parts) {
    if (&part != parts.data()) result.append(separator);
    result.append(part);
  }
  return result;
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\n\r\v\f";
  const std::size_t start = text.find_first_not_of(kBlanks);
  if (start == std::string_view::npos) return {};
  return text.substr(start, text.find_last_not_of(kBlanks) - start + 1);
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return result;
}

std::string upper(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  return result;
}

std::string replace_all(std::string text, std::string_view from, std::string_view to) {
  if (from.empty()) return text;
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

std::string_view without_prefix(std::string_view text, std::string_view prefix) {
  return text.starts_with(prefix) ? text.substr(prefix.size()) : text;
}

std::string_view without_suffix(std::string_view text, std::string_view suffix) {
  return text.ends_with(suffix) ? text.substr(0, text.size() - suffix.size()) : text;
}

namespace {

template <typename Number, typename... Base>
std::optional<Number> parse_whole(std::string_view text, Base... base) {
  Number value{};
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value, base...);
  if (result.ec != std::errc() || result.ptr != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

}  // namespace

std::optional<std::int64_t> parse_int(std::string_view text) {
  if (text.size() > 1 && text.front() == '+' && text[1] != '-') text.remove_prefix(1);
  return parse_whole<std::int64_t>(text);
}

std::optional<std::uint64_t> parse_uint(std::string_view text, int base) {
  return parse_whole<std::uint64_t>(text, base);
}

std::optional<double> parse_double(std::string_view text) {
  const std::optional<double> value = parse_whole<double>(text);
  return value && std::isfinite(*value) ? value : std::nullopt;
}

std::optional<bool> parse_bool(std::string_view text) {
  for (const char* word : {"1", "t", "T", "true", "TRUE", "True"}) {
    if (text == word) return true;
  }
  for (const char* word : {"0", "f", "F", "false", "FALSE", "False"}) {
    if (text == word) return false;
  }
  return std::nullopt;
}

std::optional<std::int64_t> parse_size(std::string_view text) {
  std::string word = lower(trim(text));
  for (const std::string_view suffix : {"ib", "b"}) {
    if (word.ends_with(suffix)) {
      word.resize(word.size() - suffix.size());
      break;
    }
  }
  double unit = 1;
  constexpr std::string_view kUnits = "kmgtp";
  if (!word.empty()) {
    if (const std::size_t power = kUnits.find(word.back()); power != std::string_view::npos) {
      unit = std::pow(1024.0, static_cast<double>(power + 1));
      word.pop_back();
    }
  }
  const std::optional<double> number = parse_double(trim(word));
  if (!number || *number < 0 || *number * unit > 9.2e18) return std::nullopt;
  return static_cast<std::int64_t>(*number * unit);
}

std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text) {
  if (text == "0" || text == "+0" || text == "-0") return std::chrono::nanoseconds(0);
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text.empty()) return std::nullopt;
  struct Unit {
    std::string_view name;
    double nanoseconds;
  };
  static constexpr std::array<Unit, 8> kUnits = {{{"ns", 1},
                                                  {"us", 1e3},
                                                  {"\xC2\xB5s", 1e3},
                                                  {"\xCE\xBCs", 1e3},
                                                  {"ms", 1e6},
                                                  {"s", 1e9},
                                                  {"m", 60e9},
                                                  {"h", 3600e9}}};
  double total = 0;
  while (!text.empty()) {
    const std::size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
    const std::optional<double> number = parse_double(text.substr(0, digits));
    if (!number) return std::nullopt;
    text.remove_prefix(digits);
    const Unit* best = nullptr;
    for (const Unit& unit : kUnits) {
      if (text.starts_with(unit.name) && (best == nullptr || unit.name.size() > best->name.size())) best = &unit;
    }
    if (best == nullptr) return std::nullopt;
    text.remove_prefix(best->name.size());
    total += *number * best->nanoseconds;
  }
  if (total > 9.2e18) return std::nullopt;
  return std::chrono::nanoseconds(std::llround(negative ? -total : total));
}

std::string format_duration(std::chrono::nanoseconds duration) {
  const std::int64_t count = duration.count();
  if (count == 0) return "0s";
  std::string text = count < 0 ? "-" : "";
  const auto total = count < 0 ? ~static_cast<std::uint64_t>(count) + 1 : static_cast<std::uint64_t>(count);
  const auto fraction = [](std::uint64_t value, std::uint64_t unit) {
    std::string digits = std::to_string(value / unit);
    if (std::uint64_t rest = value % unit; rest != 0) {
      std::string decimals = std::to_string(rest + unit).substr(1);
      decimals.erase(decimals.find_last_not_of('0') + 1);
      digits.append(".").append(decimals);
    }
    return digits;
  };
  if (total < 1000) return text + std::to_string(total) + "ns";
  if (total < 1000000) return text + fraction(total, 1000) + "\xC2\xB5s";
  if (total < 1000000000) return text + fraction(total, 1000000) + "ms";
  const std::uint64_t minutes = total / 60000000000;
  if (minutes >= 60) text.append(std::to_string(minutes / 60)).append("h");
  if (minutes > 0) text.append(std::to_string(minutes % 60)).append("m");
  return text + fraction(total % 60000000000, 1000000000) + "s";
}

namespace {

std::string scaled(double value, double base, std::span<const char* const> units) {
  std::size_t unit = 0;
  while (value >= base && unit + 1 < units.size()) {
    value /= base;
    ++unit;
  }
  std::array<char, 64> buffer;
  std::snprintf(buffer.data(), buffer.size(), "%.*g%s", value >= 999.5 ? 4 : base == 1024.0 ? 4 : 3, value, units[unit]);
  return buffer.data();
}

}  // namespace

std::string human_size(double bytes) {
  static constexpr std::array<const char*, 7> kUnits = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
  return scaled(bytes, 1000.0, kUnits);
}

std::string human_size_binary(double bytes) {
  static constexpr std::array<const char*, 7> kUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  return scaled(bytes, 1024.0, kUnits);
}

std::optional<std::string> nearest_word(std::string_view word, std::span<const std::string> candidates) {
  // Optimal string alignment distance: like Levenshtein's, and swapping two neighbours counts once.
  const auto distance = [](std::string_view from, std::string_view to) {
    std::vector<std::vector<std::size_t>> cost(from.size() + 1, std::vector<std::size_t>(to.size() + 1));
    for (std::size_t i = 0; i <= from.size(); ++i) {
      for (std::size_t j = 0; j <= to.size(); ++j) {
        if (i == 0 || j == 0) {
          cost[i][j] = i + j;
          continue;
        }
        const std::size_t change = cost[i - 1][j - 1] + (from[i - 1] == to[j - 1] ? 0 : 1);
        cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, change});
        if (i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1]) {
          cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
        }
      }
    }
    return cost[from.size()][to.size()];
  };
  if (word.size() > 64) return std::nullopt;
  const std::string wanted = lower(word);
  std::size_t best = std::min<std::size_t>(3, wanted.size() / 2 + 1);
  std::optional<std::string> nearest;
  for (const std::string& candidate : candidates) {
    if (candidate.size() > 64) continue;
    if (const std::size_t cost = distance(wanted, lower(candidate)); cost < best) {
      best = cost;
      nearest = candidate;
    }
  }
  return nearest;
}

}  // namespace ctr
