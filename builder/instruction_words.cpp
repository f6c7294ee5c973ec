#include "builder/instruction_words.h"

#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "builder/word_expansion.h"

namespace ctr {

namespace {

// No instruction that a person wrote comes near these; together they bound memory.
constexpr std::size_t kMaxWords = 100'000;
constexpr std::size_t kMaxJsonBytes = 1 << 20;
constexpr std::size_t kMaxHeredocs = 1'000;

void check_count(std::size_t count, std::size_t limit, const char* what) {
  if (count > limit) {
    throw Error(ErrorKind::Invalid, "more than " + std::to_string(limit) + " " + what + " in one instruction");
  }
}

bool is_blank(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

std::string_view trim_left(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  return text;
}

std::string_view trim_blanks(std::string_view text) {
  text = trim_left(text);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

// Reads one flag word off the front: up to a blank outside quotes. Quotes go, a backslash takes the next byte as it is.
std::string take_flag_word(std::string_view& rest) {
  std::string word;
  char quote = '\0';
  std::size_t i = 0;
  for (; i < rest.size(); ++i) {
    char c = rest[i];
    if (quote == '\0' && is_blank(c)) break;
    if (quote == '\0' && (c == '\'' || c == '"')) {
      quote = c;
      continue;
    }
    if (c == quote) {
      quote = '\0';
      continue;
    }
    if (c == '\\') {
      if (++i == rest.size()) break;
      c = rest[i];
    }
    word += c;
  }
  rest.remove_prefix(i);
  return word;
}

InstructionFlag as_flag(std::string_view word, std::string_view place) {
  InstructionFlag flag;
  flag.place = place;
  word.remove_prefix(2);
  const std::size_t equals = word.find('=');
  flag.name = word.substr(0, equals);
  if (equals != std::string_view::npos) flag.value = word.substr(equals + 1);
  return flag;
}

}  // namespace

SplitInstruction split_instruction(std::string_view text) {
  SplitInstruction result;
  std::string_view rest = trim_blanks(text);
  std::size_t length = 0;
  while (length < rest.size() && !is_blank(rest[length])) ++length;
  result.keyword = rest.substr(0, length);
  rest = trim_left(rest.substr(length));
  while (rest.starts_with("--")) {
    const std::string_view before = rest;
    const std::string word = take_flag_word(rest);
    if (word == "--") break;  // the end of the flags
    result.flags.push_back(
        as_flag(word.starts_with("--") ? word : "--" + word, before.substr(0, before.size() - rest.size())));
    rest = trim_left(rest);
  }
  result.rest = trim_blanks(rest);
  return result;
}

std::vector<std::string_view> split_blanks(std::string_view text) {
  std::vector<std::string_view> words;
  for (text = trim_left(text); !text.empty(); text = trim_left(text)) {
    std::size_t length = 0;
    while (length < text.size() && !is_blank(text[length])) ++length;
    words.push_back(text.substr(0, length));
    check_count(words.size(), kMaxWords, "words");
    text.remove_prefix(length);
  }
  return words;
}

std::vector<std::string> split_quoted(std::string_view text, char escape) {
  std::vector<std::string> words;
  std::string word;
  bool in_word = false;  // an empty pair of quotes is a word too
  char quote = '\0';
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote == '\0' && is_blank(c)) {
      if (in_word) words.push_back(std::exchange(word, {}));
      check_count(words.size(), kMaxWords, "words");
      in_word = false;
      continue;
    }
    if (c == escape && quote != '\'') {
      if (i + 1 == text.size()) break;  // alone at the end it vanishes
      in_word = true;
      word += c;
      word += text[++i];
      continue;
    }
    if (quote == '\0' && (c == '\'' || c == '"')) {
      quote = c;
    } else if (c == quote) {
      quote = '\0';
    }
    in_word = true;
    word += c;
  }
  if (in_word) words.push_back(std::move(word));
  return words;
}

JsonArray parse_json_array(std::string_view text) {
  if (!trim_left(text).starts_with('[')) return {};
  check_count(text.size(), kMaxJsonBytes, "bytes of JSON");
  Json value;
  try {
    value = Json::parse(text);
  } catch (const Error&) {
    return {};  // not JSON: the caller takes the text as it is, as BuildKit does
  }
  JsonArray array;
  array.kind = JsonArrayKind::Strings;
  for (const Json& element : value.as_array()) {
    if (!element.is_string()) return {JsonArrayKind::NotOnlyStrings, {}};
    array.elements.push_back(element.as_string());
  }
  return array;
}

std::optional<Heredoc> parse_heredoc_word(std::string_view word) {
  std::size_t digits = 0;
  while (digits < word.size() && word[digits] >= '0' && word[digits] <= '9') ++digits;
  const std::optional<std::uint64_t> descriptor = digits == 0 ? 0 : parse_uint(word.substr(0, digits));
  std::string_view rest = word.substr(digits);
  if (!descriptor || *descriptor > 0xFFFFFFFF || !rest.starts_with("<<")) return std::nullopt;
  rest.remove_prefix(2);
  Heredoc heredoc;
  heredoc.file_descriptor = static_cast<std::uint32_t>(*descriptor);
  heredoc.strip_tabs = rest.starts_with('-');
  if (heredoc.strip_tabs) rest.remove_prefix(1);
  if (rest.empty() || rest.find('<') != std::string_view::npos) return std::nullopt;
  // The same word read with and without its quotes: if they differ, some of it was quoted, and nothing expands inside.
  ExpandOptions options;
  options.unset = UnsetVariables::Keep;
  try {
    const std::vector<std::string> unquoted = expand_words(rest, nullptr, options).words;
    options.quotes = QuoteHandling::Keep;
    options.escapes = EscapeHandling::Keep;
    const std::vector<std::string> quoted = expand_words(rest, nullptr, options).words;
    if (unquoted.size() != 1 || quoted.size() != 1) return std::nullopt;
    heredoc.name = unquoted.front();
    heredoc.expand = unquoted == quoted;
    return heredoc;
  } catch (const Error&) {
    return std::nullopt;  // a stray quote: no heredoc, and the shell will say so if it matters
  }
}

std::vector<Heredoc> find_heredocs(std::string_view line) {
  if (line.find("<<") == std::string_view::npos) return {};
  ExpandOptions options;
  options.unset = UnsetVariables::Keep;
  options.quotes = QuoteHandling::Keep;
  options.escapes = EscapeHandling::Keep;
  std::vector<std::string> words;
  try {
    words = expand_words(line, nullptr, options).words;
  } catch (const Error&) {
    return {};  // quotes that don't match or ${ that the lexer does not know: the shell's business
  }
  std::vector<Heredoc> heredocs;
  for (const std::string& word : words) {
    if (std::optional<Heredoc> heredoc = parse_heredoc_word(word)) heredocs.push_back(std::move(*heredoc));
    check_count(heredocs.size(), kMaxHeredocs, "heredocs");
  }
  return heredocs;
}

}  // namespace ctr
