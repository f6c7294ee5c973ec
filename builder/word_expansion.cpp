#include "builder/word_expansion.h"

#include <cctype>
#include <utility>

#include "base/error.h"
#include "builder/word_pattern.h"

namespace ctr {

namespace {

// ${a:-${b:-${c:-…}}} nests by recursion; nobody writes more than a few.
constexpr int kMaxNesting = 100;
// ${x//a/$y} inside ${z//…} multiplies; a word longer than this is an attack.
constexpr std::size_t kMaxExpandedBytes = 16 << 20;

[[noreturn]] void fail(const std::string& sentence) {
  throw Error(ErrorKind::Invalid, sentence);
}

bool is_blank(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_name_character(char c) {
  // Bytes above 0x7f are letters of some alphabet as far as a name is concerned.
  return c == '_' || is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (static_cast<unsigned char>(c) & 0x80);
}
bool is_special_parameter(char c) {
  return std::string_view("@*#?-$!0").find(c) != std::string_view::npos;
}

enum class Splitting { None, AtBlanks };

// Collects the expanded text, as one word or as words split at unquoted blanks.
class WordCollector {
 public:
  explicit WordCollector(Splitting splitting) : splitting_(splitting) {}
  void add(char c) {
    if (splitting_ == Splitting::None || !is_blank(c)) {
      word_ += c;
    } else if (!word_.empty()) {
      words_.push_back(std::exchange(word_, {}));
    }
  }
  void add_quoted(std::string_view text) { word_ += text; }
  void add_unquoted(std::string_view text) {
    for (const char c : text) add(c);
  }
  /// REQUIRES: Splitting::None.
  std::string text() && { return std::move(word_); }
  std::vector<std::string> take_words() {
    if (!word_.empty()) words_.push_back(std::exchange(word_, {}));
    return std::move(words_);
  }

 private:
  Splitting splitting_;
  std::string word_;
  std::vector<std::string> words_;
};

class Expander {
 public:
  Expander(std::string_view source, const VariableLookup& lookup, const ExpandOptions& options)
      : source_(source), lookup_(lookup), options_(options), keep_escapes_(options.escapes == EscapeHandling::Keep) {}

  WordCollector expand_all(Splitting splitting) { return expand_until(kEnd, options_.escapes, splitting); }

  std::set<std::string> set_names;
  std::set<std::string> unset_names;

 private:
  static constexpr char kEnd = '\0';

  bool at_end() const { return position_ >= source_.size(); }
  char peek() const { return at_end() ? kEnd : source_[position_]; }
  bool next_is(char c) const { return !at_end() && source_[position_] == c; }
  char take() { return source_[position_++]; }

  WordCollector expand_until(char stop, EscapeHandling escapes, Splitting splitting);
  std::string expand_part(char stop, EscapeHandling escapes, const char* missing);
  void expand_escape(WordCollector& out);
  std::string single_quoted();
  std::string double_quoted();
  std::string dollar();
  std::string braced();
  std::string modified(const std::string& name, char modifier, bool empty_is_unset);
  std::string replaced(const std::string& name);
  std::string required(const std::string& name, const std::optional<std::string>& value, const std::string& message,
                       bool empty_is_unset);
  std::string read_name();
  std::optional<std::string> look_up(const std::string& name);
  bool heeds_quotes() const { return options_.quotes != QuoteHandling::Ignore; }
  bool keeps_unset() const { return options_.unset == UnsetVariables::Keep; }

  std::string_view source_;
  const VariableLookup& lookup_;
  const ExpandOptions& options_;
  bool keep_escapes_;
  std::size_t position_ = 0;
  std::size_t expanded_bytes_ = 0;
  int nesting_ = 0;
};

WordCollector Expander::expand_until(char stop, EscapeHandling escapes, Splitting splitting) {
  const bool outer_keep_escapes = std::exchange(keep_escapes_, escapes == EscapeHandling::Keep);
  WordCollector out(splitting);
  while (!at_end()) {
    const char c = peek();
    if (stop != kEnd && c == stop) {
      take();
      keep_escapes_ = outer_keep_escapes;
      return out;
    }
    if (c == '$') {
      out.add_unquoted(dollar());
    } else if (c == '\'' && heeds_quotes()) {
      out.add_quoted(single_quoted());
    } else if (c == '"' && heeds_quotes()) {
      out.add_quoted(double_quoted());
    } else if (c == options_.escape) {
      expand_escape(out);
    } else {
      out.add(take());
    }
  }
  if (stop != kEnd) fail(std::string("unexpected end of statement while looking for matching ") + stop);
  keep_escapes_ = outer_keep_escapes;
  return out;
}

// The escape character takes the meaning from the next one; alone at the end it vanishes.
void Expander::expand_escape(WordCollector& out) {
  const char escape = take();
  if (keep_escapes_) out.add_quoted({&escape, 1});
  if (at_end()) return;
  const char escaped = take();
  out.add_quoted({&escaped, 1});
}

std::string Expander::single_quoted() {
  const std::size_t open = position_;
  const std::size_t close = source_.find('\'', open + 1);
  if (close == std::string_view::npos) fail("unexpected end of statement while looking for matching single-quote");
  position_ = close + 1;
  if (options_.quotes == QuoteHandling::Keep) return std::string(source_.substr(open, close + 1 - open));
  return std::string(source_.substr(open + 1, close - open - 1));
}

std::string Expander::double_quoted() {
  std::string out;
  const char quote = take();
  if (options_.quotes == QuoteHandling::Keep) out += quote;
  while (!at_end()) {
    if (next_is('"')) {
      take();
      if (options_.quotes == QuoteHandling::Keep) out += quote;
      return out;
    }
    if (next_is('$')) {
      out += dollar();
      continue;
    }
    char c = take();
    if (c == options_.escape) {
      if (keep_escapes_) out += c;
      if (at_end()) break;
      // Inside double quotes only these can be escaped; before anything else the escape character stays.
      if (next_is('"') || next_is('$') || next_is(options_.escape)) c = take();
    }
    out += c;
  }
  fail("unexpected end of statement while looking for matching double-quote");
}

std::string Expander::dollar() {
  take();
  if (next_is('{')) {
    if (++nesting_ > kMaxNesting) fail("variables are nested too deeply");
    std::string out = braced();
    --nesting_;
    expanded_bytes_ += out.size();
    if (expanded_bytes_ > kMaxExpandedBytes) fail("the expanded word is too long");
    return out;
  }
  const std::string name = read_name();
  if (name.empty()) return "$";
  std::optional<std::string> value = look_up(name);
  if (!value && keeps_unset()) return "$" + name;
  expanded_bytes_ += value ? value->size() : 0;
  if (expanded_bytes_ > kMaxExpandedBytes) fail("the expanded word is too long");
  return std::move(value).value_or("");
}

std::string Expander::braced() {
  take();
  if (at_end()) fail("syntax error: missing '}'");
  if (next_is('{') || next_is('}') || next_is(':')) fail("syntax error: bad substitution");
  const std::string name = read_name();
  if (at_end()) fail("syntax error: missing '}'");
  const char modifier = take();
  switch (modifier) {
    case '}': {
      std::optional<std::string> value = look_up(name);
      if (!value && keeps_unset()) return "${" + name + "}";
      return std::move(value).value_or("");
    }
    case ':': {
      if (at_end()) fail("syntax error: missing '}'");
      const char second = take();
      return modified(name, second, true);
    }
    case '/':
      return replaced(name);
    default:
      return modified(name, modifier, false);
  }
}

// The text up to `stop`, expanded. If it never comes, the sentence says what is missing.
std::string Expander::expand_part(char stop, EscapeHandling escapes, const char* missing) {
  try {
    return expand_until(stop, escapes, Splitting::None).text();
  } catch (const Error&) {
    if (at_end()) fail(missing);
    throw;
  }
}

std::string Expander::modified(const std::string& name, char modifier, bool empty_is_unset) {
  const std::string shown_modifier = (empty_is_unset ? ":" : "") + std::string(1, modifier);
  const bool trims = modifier == '#' || modifier == '%';
  const bool is_known = modifier == '-' || modifier == '+' || modifier == '?' || (trims && !empty_is_unset);
  if (!is_known) fail("unsupported modifier (" + shown_modifier + ") in substitution");
  std::string word =
      expand_part('}', trims ? EscapeHandling::Keep : EscapeHandling::Remove, "syntax error: missing '}'");
  std::optional<std::string> value = look_up(name);
  if (!value && keeps_unset()) return "${" + name + shown_modifier + word + "}";
  const bool is_set = value && !(empty_is_unset && value->empty());
  switch (modifier) {
    case '-':
      return is_set ? *value : word;
    case '+':
      return is_set ? word : "";
    case '?':
      return required(name, value, word, empty_is_unset);
    default: {
      const bool longest = !word.empty() && word.front() == modifier;
      if (longest) word.erase(0, 1);
      const WordPattern pattern = WordPattern::parse(word);
      const auto length = longest ? WordPattern::Length::Longest : WordPattern::Length::Shortest;
      const std::string text = std::move(value).value_or("");
      return modifier == '#' ? pattern.without_prefix(text, length) : pattern.without_suffix(text, length);
    }
  }
}

std::string Expander::required(const std::string& name, const std::optional<std::string>& value,
                               const std::string& message, bool empty_is_unset) {
  if (!value) fail(name + ": " + (message.empty() ? "is not allowed to be unset" : message));
  if (empty_is_unset && value->empty()) fail(name + ": " + (message.empty() ? "is not allowed to be empty" : message));
  return *value;
}

std::string Expander::replaced(const std::string& name) {
  const bool all = next_is('/');
  if (all) take();
  const std::string pattern = expand_part('/', EscapeHandling::Keep, "syntax error: missing '/' in ${}");
  const std::string replacement = expand_part('}', EscapeHandling::Keep, "syntax error: missing '}'");
  const std::optional<std::string> value = look_up(name);
  if (!value && keeps_unset()) return "${" + name + (all ? "//" : "/") + pattern + "/" + replacement + "}";
  return WordPattern::parse(pattern).replace(value.value_or(""), replacement,
                                             all ? WordPattern::Occurrences::All : WordPattern::Occurrences::First,
                                             kMaxExpandedBytes);
}

// A name, a number ($12), or one of the shell's special parameters, which are never set here.
std::string Expander::read_name() {
  const std::size_t begin = position_;
  if (is_digit(peek())) {
    while (is_digit(peek())) take();
  } else if (!at_end() && is_special_parameter(peek())) {
    take();
  } else {
    while (!at_end() && is_name_character(peek())) take();
  }
  return std::string(source_.substr(begin, position_ - begin));
}

std::optional<std::string> Expander::look_up(const std::string& name) {
  std::optional<std::string> value = lookup_ ? lookup_(name) : std::nullopt;
  (value ? set_names : unset_names).insert(name);
  return value;
}

Expander run(std::string_view word, const VariableLookup& lookup, const ExpandOptions& options, Splitting splitting,
             WordCollector& out) {
  Expander expander(word, lookup, options);
  try {
    out = expander.expand_all(splitting);
  } catch (const Error& error) {
    const std::string shown(word.substr(0, 200));
    throw Error(error.kind(), "failed to process \"" + shown + (word.size() > 200 ? "…" : "") + "\": " + error.what());
  }
  return expander;
}

}  // namespace

ExpandedWord expand_word(std::string_view word, const VariableLookup& lookup, const ExpandOptions& options) {
  WordCollector out(Splitting::None);
  Expander expander = run(word, lookup, options, Splitting::None, out);
  return {std::move(out).text(), std::move(expander.set_names), std::move(expander.unset_names)};
}

ExpandedWords expand_words(std::string_view word, const VariableLookup& lookup, const ExpandOptions& options) {
  WordCollector out(Splitting::AtBlanks);
  Expander expander = run(word, lookup, options, Splitting::AtBlanks, out);
  return {out.take_words(), std::move(expander.set_names), std::move(expander.unset_names)};
}

}  // namespace ctr
