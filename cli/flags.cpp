#include "cli/flags.h"

#include <stdexcept>

#include "base/text.h"

namespace ctr {

void FlagTable::toggle(std::string name, char shorthand, std::string help, bool otherwise) {
  flags_.push_back({std::move(name), shorthand, FlagKind::Toggle, "", std::move(help), otherwise ? "true" : "false",
                    std::nullopt, false});
}

void FlagTable::text(std::string name, char shorthand, std::string value_name, std::string help,
                     std::string otherwise) {
  flags_.push_back({std::move(name), shorthand, FlagKind::Text, std::move(value_name), std::move(help),
                    std::move(otherwise), std::nullopt, false});
}

void FlagTable::integer(std::string name, char shorthand, std::string value_name, std::string help,
                        std::int64_t otherwise) {
  flags_.push_back({std::move(name), shorthand, FlagKind::Integer, std::move(value_name), std::move(help),
                    std::to_string(otherwise), std::nullopt, false});
}

void FlagTable::list(std::string name, char shorthand, std::string value_name, std::string help) {
  flags_.push_back({std::move(name), shorthand, FlagKind::List, std::move(value_name), std::move(help), "",
                    std::nullopt, false});
}

void FlagTable::optional_text(std::string name, char shorthand, std::string value_name, std::string help,
                              std::string bare_value) {
  flags_.push_back({std::move(name), shorthand, FlagKind::Text, std::move(value_name), std::move(help), "",
                    std::move(bare_value), false});
}

void FlagTable::hide_last() { flags_.back().is_hidden = true; }

const Flag* FlagTable::find(std::string_view name) const {
  for (const Flag& flag : flags_) {
    if (flag.name == name) return &flag;
  }
  return nullptr;
}

const Flag* FlagTable::find_shorthand(char shorthand) const {
  for (const Flag& flag : flags_) {
    if (flag.shorthand == shorthand && shorthand != 0) return &flag;
  }
  return nullptr;
}

namespace {

[[noreturn]] void refuse_unknown(const FlagTable& table, const std::string& name) {
  std::vector<std::string> names;
  for (const Flag& flag : table.flags()) {
    if (!flag.is_hidden) names.push_back(flag.name);
  }
  std::string message = "unknown flag: --" + name;
  if (const auto nearest = nearest_word(name, names)) message += " (did you mean --" + *nearest + "?)";
  throw UsageError(message);
}

bool takes_no_value(const Flag& flag) { return flag.kind == FlagKind::Toggle || flag.bare_value.has_value(); }

std::string bare_value(const Flag& flag) { return flag.bare_value.value_or("true"); }

}  // namespace

ParsedFlags ParsedFlags::parse(const FlagTable& table, std::span<const std::string> words, FlagOrder order) {
  ParsedFlags parsed;
  parsed.table_ = table;
  const auto rest_is_arguments = [&](std::size_t from) {
    parsed.arguments_.insert(parsed.arguments_.end(), words.begin() + static_cast<std::ptrdiff_t>(from), words.end());
  };
  if (order == FlagOrder::RawWords) rest_is_arguments(0);
  for (std::size_t at = 0; at < words.size() && order != FlagOrder::RawWords; ++at) {
    const std::string& word = words[at];
    if (word == "--") {
      rest_is_arguments(at + 1);
      break;
    }
    if (word.starts_with("--")) {
      parsed.parse_long(words, at);
    } else if (word.size() >= 2 && word.front() == '-') {
      parsed.parse_bundle(words, at);
    } else if (order == FlagOrder::BeforeArguments) {
      rest_is_arguments(at);
      break;
    } else {
      parsed.arguments_.push_back(word);
    }
  }
  return parsed;
}

void ParsedFlags::parse_long(std::span<const std::string> words, std::size_t& at) {
  const std::string body = words[at].substr(2);
  const auto pair = cut(body, '=');
  const std::string name = pair ? pair->first : body;
  const Flag* flag = table_.find(name);
  if (flag == nullptr) refuse_unknown(table_, name);
  if (pair) return set(*flag, pair->second);
  if (takes_no_value(*flag)) return set(*flag, bare_value(*flag));
  if (at + 1 == words.size()) throw UsageError("flag needs an argument: --" + name);
  set(*flag, words[++at]);
}

/// Several short flags in one word; the first one that takes a value takes the rest, or else the next word.
void ParsedFlags::parse_bundle(std::span<const std::string> words, std::size_t& at) {
  const std::string& word = words[at];
  for (std::size_t position = 1; position < word.size(); ++position) {
    const std::string letter(1, word[position]);
    const Flag* flag = table_.find_shorthand(word[position]);
    if (flag == nullptr) throw UsageError("unknown shorthand flag: '" + letter + "' in " + word);
    if (position + 1 < word.size() && word[position + 1] == '=') return set(*flag, word.substr(position + 2));
    if (takes_no_value(*flag)) {
      set(*flag, bare_value(*flag));
      continue;
    }
    if (position + 1 < word.size()) return set(*flag, word.substr(position + 1));
    if (at + 1 == words.size()) throw UsageError("flag needs an argument: '" + letter + "' in " + word);
    return set(*flag, words[++at]);
  }
}

void ParsedFlags::set(const Flag& flag, const std::string& value) {
  const auto refuse = [&](const std::string& why) {
    const std::string shown = (flag.shorthand != 0 ? std::string("-") + flag.shorthand + ", " : "") + "--" + flag.name;
    throw UsageError("invalid argument \"" + value + "\" for \"" + shown + "\" flag: " + why);
  };
  if (flag.kind == FlagKind::Toggle && !parse_bool(value)) refuse("not a boolean (true or false)");
  if (flag.kind == FlagKind::Integer && !parse_int(value)) refuse("not a whole number");
  std::vector<std::string>& values = values_[flag.name];
  if (flag.kind != FlagKind::List) values.clear();
  values.push_back(value);
}

const Flag& ParsedFlags::known(std::string_view name) const {
  const Flag* flag = table_.find(name);
  if (flag == nullptr) throw std::logic_error("the command has no flag --" + std::string(name));
  return *flag;
}

bool ParsedFlags::on(std::string_view name) const { return parse_bool(text(name)).value_or(false); }

const std::string& ParsedFlags::text(std::string_view name) const {
  const Flag& flag = known(name);
  const auto found = values_.find(name);
  return found == values_.end() ? flag.otherwise : found->second.back();
}

std::optional<std::string> ParsedFlags::find_text(std::string_view name) const {
  known(name);
  const auto found = values_.find(name);
  return found == values_.end() ? std::nullopt : std::optional(found->second.back());
}

std::int64_t ParsedFlags::integer(std::string_view name) const { return parse_int(text(name)).value_or(0); }

const std::vector<std::string>& ParsedFlags::list(std::string_view name) const {
  static const std::vector<std::string> kNone;
  known(name);
  const auto found = values_.find(name);
  return found == values_.end() ? kNone : found->second;
}

}  // namespace ctr
