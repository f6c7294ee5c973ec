#include "builder/ignore_patterns.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "builder/glob_class.h"
#include "builder/go_match.h"
#include "builder/utf8.h"

namespace ctr {

namespace {

// One step of a compiled pattern. `**/` in the middle is two: an optional gap that ends with a slash.
struct Step {
  enum class Kind {
    Character,
    AnyCharacter,  // ?: not a slash
    AnyName,       // *: no slashes
    GapStart,      // **: nothing, or …
    GapInside,     // … any text up to and with a slash
    Everything,    // ** at the end
    Class,
    OnlyAtStart,  // a bare ^, which moby hands to its regular expression
  };
  Kind kind;
  char32_t character = 0;
  GlobClass characters;
};

// The set of steps that a match may be at. Sparse, because patterns are short and few steps are alive at once.
class StepSet {
 public:
  explicit StepSet(std::size_t size) : member_(size, false) {}
  void insert(std::size_t step) {
    if (member_[step]) return;
    member_[step] = true;
    list_.push_back(step);
  }
  void clear() {
    for (const std::size_t step : list_) member_[step] = false;
    list_.clear();
  }
  bool contains(std::size_t step) const { return member_[step]; }
  const std::vector<std::size_t>& list() const { return list_; }

 private:
  std::vector<bool> member_;
  std::vector<std::size_t> list_;
};

// Inserts a step and all that can be reached from it without reading a character.
void enter(const std::vector<Step>& steps, StepSet& set, std::size_t step, bool at_start) {
  while (true) {
    set.insert(step);
    if (step == steps.size()) return;
    switch (steps[step].kind) {
      case Step::Kind::AnyName:
      case Step::Kind::Everything:
        ++step;
        break;
      case Step::Kind::GapStart:
        set.insert(step + 1);
        step += 2;
        break;
      case Step::Kind::OnlyAtStart:
        if (!at_start) return;
        ++step;
        break;
      default:
        return;
    }
  }
}

void advance(const std::vector<Step>& steps, StepSet& next, std::size_t at, char32_t c) {
  const Step& step = steps[at];
  switch (step.kind) {
    case Step::Kind::Character:
      if (c == step.character) enter(steps, next, at + 1, false);
      break;
    case Step::Kind::AnyCharacter:
      if (c != U'/') enter(steps, next, at + 1, false);
      break;
    case Step::Kind::AnyName:
      if (c != U'/') enter(steps, next, at, false);
      break;
    case Step::Kind::Everything:
      if (c != U'\n') enter(steps, next, at, false);
      break;
    case Step::Kind::GapInside:
      if (c == U'/') enter(steps, next, at + 1, false);
      if (c != U'\n') next.insert(at);
      break;
    case Step::Kind::Class:
      if (step.characters.contains(c)) enter(steps, next, at + 1, false);
      break;
    case Step::Kind::GapStart:
    case Step::Kind::OnlyAtStart:
      break;
  }
}

}  // namespace

struct IgnorePatterns::Pattern {
  enum class How { Exact, Prefix, Suffix, Steps };

  std::string text;  // cleaned, without '!'
  bool is_exception = false;
  How how = How::Exact;
  std::vector<Step> steps;
  std::string plain_end;  // the characters that any match ends with

  void compile();
  void compile_stars(std::string_view& rest, std::size_t index);
  bool matches(std::string_view path) const;
  bool matches_steps(std::string_view path) const;
};

// `**`, with an optional slash after it. Sets `how` as moby does: a pattern with nothing but a leading or a trailing
// `**` is compared as plain text, which is quicker and, for a leading one, means more: `**foo` also matches "barfoo".
void IgnorePatterns::Pattern::compile_stars(std::string_view& rest, std::size_t index) {
  if (rest.starts_with('/')) rest.remove_prefix(1);
  if (rest.empty()) {
    if (how == How::Exact) {
      how = How::Prefix;
    } else {
      how = How::Steps;
    }
    steps.push_back({Step::Kind::Everything, 0, {}});
  } else {
    how = How::Steps;
    steps.push_back({Step::Kind::GapStart, 0, {}});
    steps.push_back({Step::Kind::GapInside, 0, {}});
  }
  if (index == 0) how = How::Suffix;
}

void IgnorePatterns::Pattern::compile() {
  std::string_view rest = text;
  for (std::size_t index = 0; !rest.empty(); ++index) {
    const char32_t c = take_character(rest);
    if (c == U'*' && rest.starts_with('*')) {
      rest.remove_prefix(1);
      compile_stars(rest, index);
      continue;
    }
    if (c == U'*' || c == U'?' || c == U'[' || c == U'\\') how = How::Steps;
    if (c == U'*') {
      steps.push_back({Step::Kind::AnyName, 0, {}});
    } else if (c == U'?') {
      steps.push_back({Step::Kind::AnyCharacter, 0, {}});
    } else if (c == U'[') {
      steps.push_back({Step::Kind::Class, 0, GlobClass::parse(rest)});
    } else if (c == U'\\' && !rest.empty()) {
      steps.push_back({Step::Kind::Character, take_character(rest), {}});
    } else if (c == U'^') {
      steps.push_back({Step::Kind::OnlyAtStart, 0, {}});
    } else {
      steps.push_back({Step::Kind::Character, c, {}});
    }
  }
  for (std::size_t i = steps.size(); i-- > 0;) {
    if (steps[i].kind != Step::Kind::Character || steps[i].character > 0x7F) break;
    plain_end.insert(plain_end.begin(), static_cast<char>(steps[i].character));
  }
}

bool IgnorePatterns::Pattern::matches_steps(std::string_view path) const {
  if (!path.ends_with(plain_end)) return false;
  StepSet current(steps.size() + 1);
  StepSet next(steps.size() + 1);
  enter(steps, current, 0, true);
  while (!path.empty()) {
    const char32_t c = take_character(path);
    next.clear();
    for (const std::size_t step : current.list()) {
      if (step < steps.size()) advance(steps, next, step, c);
    }
    if (next.list().empty()) return false;
    std::swap(current, next);
  }
  return current.contains(steps.size());
}

bool IgnorePatterns::Pattern::matches(std::string_view path) const {
  const std::string_view whole = text;
  switch (how) {
    case How::Exact:
      return path == whole;
    case How::Prefix:
      return path.starts_with(whole.substr(0, whole.size() - 2));
    case How::Suffix: {
      const std::string_view suffix = whole.substr(2);
      return path.ends_with(suffix) || (suffix.starts_with('/') && path == suffix.substr(1));
    }
    case How::Steps:
      return matches_steps(path);
  }
  return false;
}

std::vector<std::string> parse_ignore_file(std::string_view text) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  std::vector<std::string> patterns;
  for (const std::string& line : split(text, '\n')) {
    if (line.starts_with('#')) continue;
    std::string_view pattern = trim(line);
    if (pattern.empty()) continue;
    const bool is_exception = pattern.front() == '!';
    if (is_exception) pattern = trim(pattern.substr(1));
    std::string cleaned = pattern.empty() ? std::string() : clean_path(pattern);
    if (cleaned.size() > 1 && cleaned.front() == '/') cleaned.erase(0, 1);
    patterns.push_back((is_exception ? "!" : "") + cleaned);
  }
  return patterns;
}

IgnorePatterns::IgnorePatterns(const std::vector<std::string>& patterns) {
  for (const std::string& given : patterns) {
    if (trim(given).empty()) continue;
    auto pattern = std::make_unique<Pattern>();
    pattern->text = clean_path(trim(given));
    if (pattern->text.front() == '!') {
      if (pattern->text.size() == 1) throw Error(ErrorKind::Invalid, "illegal exclusion pattern: \"!\"");
      pattern->is_exception = true;
      pattern->text.erase(0, 1);
    }
    in_context("pattern \"" + given.substr(0, 200) + "\"", [&] {
      go_match(pattern->text, ".");
      pattern->compile();
    });
    patterns_.push_back(std::move(pattern));
  }
}

IgnorePatterns::IgnorePatterns(IgnorePatterns&&) noexcept = default;
IgnorePatterns& IgnorePatterns::operator=(IgnorePatterns&&) noexcept = default;
IgnorePatterns::~IgnorePatterns() = default;

bool IgnorePatterns::empty() const noexcept {
  return patterns_.empty();
}

bool IgnorePatterns::has_exceptions() const noexcept {
  return std::any_of(patterns_.begin(), patterns_.end(), [](const auto& pattern) { return pattern->is_exception; });
}

bool IgnorePatterns::is_ignored(std::string_view path) const {
  bool ignored = false;
  for (const auto& pattern : patterns_) {
    if (pattern->is_exception != ignored) continue;  // it could change nothing
    bool matches = pattern->matches(path);
    for (std::size_t slash = path.find('/'); !matches && slash != std::string_view::npos;
         slash = path.find('/', slash + 1)) {
      matches = pattern->matches(path.substr(0, slash));
    }
    if (matches) ignored = !pattern->is_exception;
  }
  return ignored;
}

IgnorePatterns::Decision IgnorePatterns::decide(std::string_view path, const Decision* parent) const {
  Decision decision;
  decision.matched.resize(patterns_.size());
  for (std::size_t i = 0; i < patterns_.size(); ++i) {
    const Pattern& pattern = *patterns_[i];
    bool matches = parent != nullptr && parent->matched[i];
    if (!matches) {
      if (pattern.is_exception != decision.ignored) continue;
      matches = pattern.matches(path);
    }
    decision.matched[i] = matches;
    if (matches) decision.ignored = !pattern.is_exception;
  }
  return decision;
}

bool IgnorePatterns::may_include_below(std::string_view path) const {
  for (const auto& pattern : patterns_) {
    if (!pattern->is_exception) continue;
    // As far as an exception is plain text it must agree with the directory; from its first wildcard on anything may
    // match.
    std::string_view plain = std::string_view(pattern->text).substr(0, pattern->text.find_first_of("*?[\\^"));
    const bool has_wildcard = plain.size() < pattern->text.size();
    const std::string below = std::string(path) + "/";
    if (plain.starts_with(below)) return true;
    if (has_wildcard && below.starts_with(plain)) return true;
  }
  return false;
}

}  // namespace ctr
