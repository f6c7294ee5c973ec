#include "builder/compose_variables.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace ctr {

namespace {

constexpr int kMaxNesting = 50;
constexpr std::size_t kMaxBytes = 4 << 20;

bool starts_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool continues_name(char c) {
  return starts_name(c) || (c >= '0' && c <= '9');
}

class Expander {
 public:
  Expander(std::string_view text, const ComposeLookup& lookup) : text_(text), lookup_(lookup) {}

  std::string expand() {
    std::string out = until(false);
    if (position_ < text_.size()) fail();
    return out;
  }

 private:
  [[noreturn]] void fail() const {
    throw Error(ErrorKind::Invalid, "invalid interpolation format: \"" + std::string(text_.substr(0, 200)) +
                                        "\". You may need to escape any $ with another $");
  }

  // Up to the end, or inside braces up to the }, which is left.
  std::string until(bool in_braces) {
    std::string out;
    while (position_ < text_.size() && !(in_braces && text_[position_] == '}')) {
      if (text_[position_] != '$') {
        out += text_[position_++];
      } else {
        out += dollar();
      }
      if (out.size() > kMaxBytes) throw Error(ErrorKind::Invalid, "the expanded text is too long");
    }
    return out;
  }

  std::string take_name() {
    const std::size_t begin = position_;
    if (position_ < text_.size() && starts_name(text_[position_])) {
      while (position_ < text_.size() && continues_name(text_[position_])) ++position_;
    }
    if (position_ == begin) fail();
    return std::string(text_.substr(begin, position_ - begin));
  }

  std::string dollar() {
    ++position_;
    const std::string_view rest = text_.substr(position_);
    if (rest.starts_with('$')) {
      ++position_;
      return "$";
    }
    if (!rest.starts_with('{')) return lookup_(take_name()).value_or("");
    ++position_;
    if (++nesting_ > kMaxNesting) fail();
    std::string out = braced();
    --nesting_;
    if (position_ >= text_.size() || text_[position_] != '}') fail();
    ++position_;
    return out;
  }

  std::string braced() {
    const std::string name = take_name();
    const std::optional<std::string> value = lookup_(name);
    if (position_ < text_.size() && text_[position_] == '}') return value.value_or("");
    const bool empty_is_unset = text_.substr(position_, 1) == ":";
    if (empty_is_unset) ++position_;
    if (position_ >= text_.size()) fail();
    const char modifier = text_[position_++];
    if (modifier != '-' && modifier != '?' && modifier != '+') fail();
    const std::string word = until(true);
    const bool is_set = value && !(empty_is_unset && value->empty());
    if (modifier == '+') return is_set ? word : "";
    if (is_set) return *value;
    if (modifier == '?') {
      throw Error(ErrorKind::Invalid,
                  "required variable " + name + " is missing a value" + (word.empty() ? "" : ": " + word));
    }
    return word;
  }

  std::string_view text_;
  const ComposeLookup& lookup_;
  std::size_t position_ = 0;
  int nesting_ = 0;
};

}  // namespace

std::string expand_compose_text(std::string_view text, const ComposeLookup& lookup) {
  if (text.find('$') == std::string_view::npos) return std::string(text);
  return Expander(text, lookup).expand();
}

Json expand_compose_value(const Json& value, const ComposeLookup& lookup) {
  if (value.is_string()) return Json(expand_compose_text(value.as_string(), lookup));
  if (value.is_array()) {
    Json list = Json::array();
    for (const Json& element : value.as_array()) list.push_back(expand_compose_value(element, lookup));
    return list;
  }
  if (value.is_object()) {
    Json object = Json::object();
    for (const auto& [key, member] : value.as_object()) object[key] = expand_compose_value(member, lookup);
    return object;
  }
  return value;
}

}  // namespace ctr
