#include "builder/yaml.h"

#include <map>
#include <optional>
#include <utility>
#include <yaml.h>

#include "base/error.h"
#include "base/text.h"

namespace ctr {

namespace {

constexpr std::size_t kMaxValues = 100'000;
constexpr std::size_t kMaxTextBytes = 64 << 20;  // of all values, aliases included
constexpr int kMaxDepth = 100;

class Event {
 public:
  Event() = default;
  ~Event() { ::yaml_event_delete(&event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ::yaml_event_t* get() noexcept { return &event_; }
  ::yaml_event_type_t type() const noexcept { return event_.type; }
  const ::yaml_event_t& operator*() const noexcept { return event_; }

 private:
  ::yaml_event_t event_{};
};

std::string text_of(const ::yaml_char_t* text) {
  return text == nullptr ? "" : reinterpret_cast<const char*>(text);
}

// A plain scalar's value by YAML 1.2's core schema, which is what Compose's reader does too.
Json plain_value(const std::string& text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return Json();
  if (text == "true" || text == "True" || text == "TRUE") return Json(true);
  if (text == "false" || text == "False" || text == "FALSE") return Json(false);
  if (const std::optional<std::int64_t> whole = parse_int(text)) return Json(*whole);
  for (const auto& [prefix, base] : {std::pair<const char*, int>{"0x", 16}, {"0o", 8}}) {
    const std::optional<std::uint64_t> number =
        text.starts_with(prefix) ? parse_uint(std::string_view(text).substr(2), base) : std::nullopt;
    if (number && *number <= INT64_MAX) return Json(static_cast<std::int64_t>(*number));
  }
  const bool looks_numeric = text.find_first_not_of("+-.0123456789eE") == std::string::npos;
  const std::optional<double> number = looks_numeric ? parse_double(text) : std::nullopt;
  return number ? Json(*number) : Json(text);
}

class Reader {
 public:
  Reader(std::string_view text, const std::string& what) : what_(what) {
    if (::yaml_parser_initialize(&parser_) == 0) throw Error(ErrorKind::System, "out of memory");
    ::yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(text.data()), text.size());
    ::yaml_parser_set_encoding(&parser_, YAML_UTF8_ENCODING);
  }
  ~Reader() { ::yaml_parser_delete(&parser_); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  Json read();

 private:
  void next(Event& event);
  [[noreturn]] void fail(const std::string& sentence, const ::yaml_mark_t& mark) const;
  Json value(const Event& event, int depth);
  Json sequence(int depth);
  Json mapping(int depth);
  void merge(Json& mapping, const Json& other, const ::yaml_mark_t& mark) const;
  void count(const Json& value, const ::yaml_mark_t& mark);

  ::yaml_parser_t parser_{};
  const std::string& what_;
  std::map<std::string, Json> anchors_;
  std::size_t values_ = 0;
  std::size_t text_bytes_ = 0;
};

void Reader::fail(const std::string& sentence, const ::yaml_mark_t& mark) const {
  throw Error(ErrorKind::Invalid,
              what_ + ":" + std::to_string(mark.line + 1) + ":" + std::to_string(mark.column + 1) + ": " + sentence);
}

void Reader::next(Event& event) {
  if (::yaml_parser_parse(&parser_, event.get()) != 0) return;
  const std::string context = parser_.context == nullptr ? "" : std::string(parser_.context) + ": ";
  fail(context + (parser_.problem == nullptr ? "invalid YAML" : parser_.problem), parser_.problem_mark);
}

// Counts a value and all below it: aliases multiply.
void Reader::count(const Json& value, const ::yaml_mark_t& mark) {
  ++values_;
  if (value.is_string()) text_bytes_ += value.as_string().size();
  if (values_ > kMaxValues || text_bytes_ > kMaxTextBytes) fail("too many values", mark);
  if (value.is_array()) {
    for (const Json& element : value.as_array()) count(element, mark);
  }
  if (value.is_object()) {
    for (const auto& [key, member] : value.as_object()) count(member, mark);
  }
}

Json Reader::value(const Event& event, int depth) {
  const ::yaml_mark_t mark = (*event).start_mark;
  if (depth > kMaxDepth) fail("nested too deeply", mark);
  std::string anchor;
  Json result;
  switch (event.type()) {
    case YAML_ALIAS_EVENT: {
      const auto found = anchors_.find(text_of((*event).data.alias.anchor));
      if (found == anchors_.end()) fail("unknown alias", mark);
      count(found->second, mark);
      return found->second;
    }
    case YAML_SCALAR_EVENT: {
      const auto& scalar = (*event).data.scalar;
      anchor = text_of(scalar.anchor);
      const std::string text(reinterpret_cast<const char*>(scalar.value), scalar.length);
      const bool is_plain = scalar.style == YAML_PLAIN_SCALAR_STYLE && text_of(scalar.tag) != "tag:yaml.org,2002:str";
      result = is_plain ? plain_value(text) : Json(text);
      count(result, mark);
      break;
    }
    case YAML_SEQUENCE_START_EVENT:
      anchor = text_of((*event).data.sequence_start.anchor);
      result = sequence(depth + 1);
      break;
    case YAML_MAPPING_START_EVENT:
      anchor = text_of((*event).data.mapping_start.anchor);
      result = mapping(depth + 1);
      break;
    default:
      fail("expected a value", mark);
  }
  if (!anchor.empty()) anchors_[anchor] = result;
  return result;
}

Json Reader::sequence(int depth) {
  Json list = Json::array();
  while (true) {
    Event event;
    next(event);
    if (event.type() == YAML_SEQUENCE_END_EVENT) return list;
    list.push_back(value(event, depth));
  }
}

// What the mapping says itself goes before what is merged into it.
void Reader::merge(Json& mapping, const Json& other, const ::yaml_mark_t& mark) const {
  if (other.is_array()) {
    for (const Json& element : other.as_array()) merge(mapping, element, mark);
    return;
  }
  if (!other.is_object()) fail("<< needs a mapping", mark);
  for (const auto& [key, member] : other.as_object()) {
    if (!mapping.contains(key)) mapping[key] = member;
  }
}

Json Reader::mapping(int depth) {
  constexpr std::size_t kMaxMembers = 10'000;  // a member is looked for by walking
  Json object = Json::object();
  Json merged = Json::array();
  ::yaml_mark_t mark{};
  while (true) {
    Event key;
    next(key);
    mark = (*key).start_mark;
    if (key.type() == YAML_MAPPING_END_EVENT) break;
    if (key.type() != YAML_SCALAR_EVENT) fail("a key must be plain text", mark);
    const std::string name(reinterpret_cast<const char*>((*key).data.scalar.value), (*key).data.scalar.length);
    Event event;
    next(event);
    Json member = value(event, depth);
    if (name == "<<") {
      merged.push_back(std::move(member));
      continue;
    }
    if (object.contains(name)) fail("the key \"" + name + "\" is given twice", mark);
    if (object.size() >= kMaxMembers) fail("too many keys", mark);
    object[name] = std::move(member);
  }
  merge(object, merged, mark);
  count(Json(), mark);
  return object;
}

Json Reader::read() {
  Json result;
  bool has_document = false;
  while (true) {
    Event event;
    next(event);
    switch (event.type()) {
      case YAML_STREAM_START_EVENT:
      case YAML_DOCUMENT_END_EVENT:
        break;
      case YAML_DOCUMENT_START_EVENT:
        if (has_document) fail("more than one document", (*event).start_mark);
        has_document = true;
        break;
      case YAML_STREAM_END_EVENT:
        return result;
      default:
        result = value(event, 0);
    }
  }
}

}  // namespace

Json parse_yaml(std::string_view text, const std::string& what) {
  constexpr std::size_t kMaxBytes = 8 << 20;
  if (text.size() > kMaxBytes) throw Error(ErrorKind::Invalid, what + " is larger than 8 MiB");
  return Reader(text, what).read();
}

}  // namespace ctr
