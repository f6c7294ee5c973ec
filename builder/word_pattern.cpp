#include "builder/word_pattern.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "builder/utf8.h"

namespace ctr {

namespace {

// `${x//a*b/c}` is quadratic in the length of x; no real value needs this many steps.
constexpr std::size_t kMaxSteps = std::size_t{1} << 26;

// Splits into characters; a byte that is no UTF-8 is a character of its own.
std::vector<std::string_view> characters(std::string_view text) {
  std::vector<std::string_view> all;
  all.reserve(text.size());
  while (!text.empty()) {
    const std::string_view before = text;
    take_character(text);
    all.push_back(before.substr(0, before.size() - text.size()));
  }
  return all;
}

}  // namespace

WordPattern WordPattern::parse(std::string_view text) {
  WordPattern pattern;
  const std::vector<std::string_view> all = characters(text);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::string_view c = all[i];
    if (c == "*") {
      // A row of stars means no more than one.
      if (pattern.items_.empty() || pattern.items_.back().kind != Item::Kind::AnyText) {
        pattern.items_.push_back({Item::Kind::AnyText, {}});
      }
    } else if (c == "?") {
      pattern.items_.push_back({Item::Kind::AnyCharacter, {}});
    } else if (c == "\\") {
      // } and / only need the backslash to get past the parser of ${}; it is not part of the pattern.
      static constexpr std::string_view kQuotable = "}/*?\\";
      const std::string_view quoted = i + 1 < all.size() ? all[i + 1] : std::string_view();
      if (quoted.size() != 1 || kQuotable.find(quoted) == std::string_view::npos) {
        throw Error(ErrorKind::Invalid, "invalid pattern (" + std::string(text) +
                                            ") in substitution: invalid escape '\\" + std::string(quoted) + "'");
      }
      pattern.items_.push_back({Item::Kind::Character, std::string(quoted)});
      ++i;
    } else {
      pattern.items_.push_back({Item::Kind::Character, std::string(c)});
    }
  }
  return pattern;
}

namespace {

// Walks `pattern` over `text`, both given by index functions, and returns how many characters of the text match: the
// fewest or the most. A set of pattern positions is carried along, so the cost is text × pattern at worst.
template <typename ItemAt, typename CharacterAt>
std::optional<std::size_t> match_length(std::size_t item_count, ItemAt item_at, std::size_t text_count,
                                        CharacterAt character_at, WordPattern::Length wanted, std::size_t& steps) {
  using Kind = decltype(item_at(0).kind);
  std::vector<char> states(item_count + 1, 0);
  states[0] = 1;
  std::optional<std::size_t> found;
  for (std::size_t consumed = 0;; ++consumed) {
    for (std::size_t i = 0; i < item_count; ++i) {
      if (states[i] && item_at(i).kind == Kind::AnyText) states[i + 1] = 1;
    }
    if (states[item_count]) {
      found = consumed;
      if (wanted == WordPattern::Length::Shortest) return found;
    }
    if (consumed == text_count) return found;
    const std::string_view c = character_at(consumed);
    bool alive = false;
    steps += item_count + 1;
    if (steps > kMaxSteps) throw Error(ErrorKind::Invalid, "the substitution takes too long");
    // From the end, so that a state is read before its predecessor writes it.
    states[item_count] = 0;
    for (std::size_t i = item_count; i-- > 0;) {
      if (!states[i]) continue;
      const auto& item = item_at(i);
      const bool stays = item.kind == Kind::AnyText && c != "\n";
      const bool advances =
          (item.kind == Kind::AnyCharacter && c != "\n") || (item.kind == Kind::Character && item.character == c);
      states[i] = stays;
      if (advances) states[i + 1] = 1;
      alive = alive || stays || advances;
    }
    if (!alive) return found;
  }
}

std::size_t bytes_of(const std::vector<std::string_view>& all, std::size_t from, std::size_t count) {
  std::size_t bytes = 0;
  for (std::size_t i = from; i < from + count; ++i) bytes += all[i].size();
  return bytes;
}

}  // namespace

std::string WordPattern::without_prefix(const std::string& text, Length length) const {
  const auto all = characters(text);
  std::size_t steps = 0;
  const auto matched = match_length(
      items_.size(), [&](std::size_t i) -> const Item& { return items_[i]; }, all.size(),
      [&](std::size_t i) { return all[i]; }, length, steps);
  return matched ? text.substr(bytes_of(all, 0, *matched)) : text;
}

std::string WordPattern::without_suffix(const std::string& text, Length length) const {
  const auto all = characters(text);
  std::size_t steps = 0;
  const auto matched = match_length(
      items_.size(), [&](std::size_t i) -> const Item& { return items_[items_.size() - 1 - i]; }, all.size(),
      [&](std::size_t i) { return all[all.size() - 1 - i]; }, length, steps);
  return matched ? text.substr(0, text.size() - bytes_of(all, all.size() - *matched, *matched)) : text;
}

std::string WordPattern::replace(const std::string& text, const std::string& replacement, Occurrences occurrences,
                                 std::size_t limit_bytes) const {
  const auto all = characters(text);
  std::string out;
  std::size_t steps = 0;
  bool just_matched = false;
  for (std::size_t at = 0; at <= all.size();) {
    const auto matched = match_length(
        items_.size(), [&](std::size_t i) -> const Item& { return items_[i]; }, all.size() - at,
        [&](std::size_t i) { return all[at + i]; }, Length::Longest, steps);
    // As in Go's regexp, an empty match right after a match does not count.
    if (matched && !(*matched == 0 && just_matched)) {
      out += replacement;
      if (out.size() > limit_bytes) throw Error(ErrorKind::Invalid, "the expanded word is too long");
      if (occurrences == Occurrences::First) {
        for (std::size_t i = at + *matched; i < all.size(); ++i) out += all[i];
        return out;
      }
    }
    just_matched = matched && *matched > 0;
    if (just_matched) {
      at += *matched;
    } else {
      if (at < all.size()) out += all[at];
      ++at;
    }
  }
  return out;
}

}  // namespace ctr
