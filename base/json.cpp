#include "base/json.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace ctr {

namespace {

constexpr std::size_t kMaxDepth = 200;

/// Builds our value from the library's parser events.
class Builder {
 public:
  using number_integer_t = nlohmann::json::number_integer_t;
  using number_unsigned_t = nlohmann::json::number_unsigned_t;
  using number_float_t = nlohmann::json::number_float_t;
  using string_t = nlohmann::json::string_t;
  using binary_t = nlohmann::json::binary_t;

  bool null() { return put(Json()); }
  bool boolean(bool value) { return put(Json(value)); }
  bool number_integer(number_integer_t value) { return put(Json(static_cast<long long>(value))); }
  bool number_unsigned(number_unsigned_t value) { return put(Json(static_cast<unsigned long>(value))); }
  bool number_float(number_float_t value, const string_t&) { return put(Json(value)); }
  bool string(string_t& value) { return put(Json(std::move(value))); }
  bool binary(binary_t&) { return false; }
  bool start_object(std::size_t) { return open(Json::object()); }
  bool end_object() { return close(); }
  bool start_array(std::size_t) { return open(Json::array()); }
  bool end_array() { return close(); }
  bool key(string_t& value) {
    keys_.back() = std::move(value);
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& error) {
    position_ = position;
    message_ = error.what();
    return false;
  }

  Json& result() { return result_; }
  std::size_t position() const { return position_; }
  const std::string& message() const { return message_; }

 private:
  bool put(Json value) {
    if (open_.empty()) {
      result_ = std::move(value);
    } else if (open_.back().is_array()) {
      open_.back().push_back(std::move(value));
    } else {
      open_.back()[keys_.back()] = std::move(value);
    }
    return true;
  }
  bool open(Json value) {
    if (open_.size() >= kMaxDepth) {
      message_ = "nested too deeply";
      return false;
    }
    open_.push_back(std::move(value));
    keys_.emplace_back();
    return true;
  }
  bool close() {
    Json value = std::move(open_.back());
    open_.pop_back();
    keys_.pop_back();
    return put(std::move(value));
  }

  Json result_;
  std::vector<Json> open_;
  std::vector<std::string> keys_;
  std::size_t position_ = 0;
  std::string message_;
};

/// The library's sentence without its "[json.exception...]" and its repeated position.
std::string short_reason(const std::string& message) {
  const std::size_t start = message.rfind("; ");
  if (const std::size_t colon = message.find(": "); colon != std::string::npos && message.starts_with('[')) {
    return message.substr(colon + 2);
  }
  return start == std::string::npos ? message : message.substr(start + 2);
}

/// The length of the UTF-8 sequence at the start of `text`, or 0 when it is not one.
std::size_t sequence_length(std::string_view text) {
  const auto byte = [&](std::size_t index) { return static_cast<unsigned char>(text[index]); };
  const auto follows = [&](std::size_t index) { return index < text.size() && (byte(index) & 0xC0) == 0x80; };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF && follows(1)) return 2;
  if (first >= 0xE0 && first <= 0xEF && follows(1) && follows(2)) {
    if ((first == 0xE0 && byte(1) < 0xA0) || (first == 0xED && byte(1) > 0x9F)) return 0;
    return 3;
  }
  if (first >= 0xF0 && first <= 0xF4 && follows(1) && follows(2) && follows(3)) {
    if ((first == 0xF0 && byte(1) < 0x90) || (first == 0xF4 && byte(1) > 0x8F)) return 0;
    return 4;
  }
  return 0;
}

void append_quoted(std::string& out, std::string_view text) {
  static constexpr char kDigits[] = "0123456789abcdef";
  out.push_back('"');
  while (!text.empty()) {
    const auto byte = static_cast<unsigned char>(text.front());
    const std::size_t length = sequence_length(text);
    if (length == 0) {
      out.append("\xEF\xBF\xBD");
      text.remove_prefix(1);
      continue;
    }
    if (byte == '"' || byte == '\\') {
      out.push_back('\\');
      out.push_back(text.front());
    } else if (byte == '\n') {
      out.append("\\n");
    } else if (byte == '\r') {
      out.append("\\r");
    } else if (byte == '\t') {
      out.append("\\t");
    } else if (byte < 0x20) {
      out.append("\\u00").push_back(kDigits[byte >> 4]);
      out.push_back(kDigits[byte & 15]);
    } else {
      out.append(text.substr(0, length));
    }
    text.remove_prefix(length);
  }
  out.push_back('"');
}

void append_double(std::string& out, double value) {
  if (!std::isfinite(value)) {
    out.append("null");
    return;
  }
  std::array<char, 64> buffer;
  const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  out.append(buffer.data(), result.ptr);
}

class Printer {
 public:
  Printer(std::string& out, int indent) : out_(out), indent_(indent) {}

  void print(const Json& value, int level) {
    if (value.is_null()) {
      out_.append("null");
    } else if (value.is_bool()) {
      out_.append(value.as_bool() ? "true" : "false");
    } else if (value.is_int()) {
      out_.append(std::to_string(value.as_int()));
    } else if (value.is_large()) {
      out_.append(std::to_string(value.as_uint()));
    } else if (value.is_double()) {
      append_double(out_, value.as_double());
    } else if (value.is_string()) {
      append_quoted(out_, value.as_string());
    } else if (value.is_array()) {
      print_list('[', ']', value.as_array(), level, [&](const Json& element) { print(element, level + 1); });
    } else {
      print_list('{', '}', value.as_object(), level, [&](const Json::Member& member) {
        append_quoted(out_, member.first);
        out_.append(indent_ > 0 ? ": " : ":");
        print(member.second, level + 1);
      });
    }
  }

 private:
  template <typename List, typename PrintOne>
  void print_list(char open, char close, const List& list, int level, const PrintOne& print_one) {
    out_.push_back(open);
    bool first = true;
    for (const auto& element : list) {
      if (!first) out_.push_back(',');
      first = false;
      new_line(level + 1);
      print_one(element);
    }
    if (!list.empty()) new_line(level);
    out_.push_back(close);
  }
  void new_line(int level) {
    if (indent_ == 0) return;
    out_.push_back('\n');
    out_.append(static_cast<std::size_t>(level * indent_), ' ');
  }

  std::string& out_;
  int indent_;
};

[[noreturn]] void wrong_type(std::string_view expected) {
  throw Error(ErrorKind::Invalid, "a JSON value is not " + std::string(expected));
}

[[noreturn]] void wrong_member(std::string_view key, std::string_view expected) {
  throw Error(ErrorKind::Invalid, "the field \"" + std::string(key) + "\" is not " + std::string(expected));
}

const Json::Array kNoElements;
const Json::Object kNoMembers;

}  // namespace

Json::Json(unsigned long value) {
  if (value <= static_cast<unsigned long>(std::numeric_limits<std::int64_t>::max())) {
    value_ = static_cast<std::int64_t>(value);
  } else {
    value_ = std::uint64_t{value};
  }
}

Json::Json(Array value) : value_(std::move(value)) {}

Json::Json(const std::vector<std::string>& values) : value_(Array(values.begin(), values.end())) {}

Json::Json(const std::map<std::string, std::string>& values) : value_(Object(values.begin(), values.end())) {}

Json Json::object() {
  Json value;
  value.value_ = Object{};
  return value;
}

Json Json::object(std::initializer_list<Member> members) {
  Json value;
  value.value_ = Object(members);
  return value;
}

Json Json::parse(std::string_view text, std::string_view what) {
  Builder builder;
  if (!nlohmann::json::sax_parse(text.begin(), text.end(), &builder)) {
    const auto until = text.substr(0, std::min(builder.position(), text.size()));
    const auto line = 1 + std::count(until.begin(), until.end(), '\n');
    throw Error(ErrorKind::Invalid,
                std::string(what) + ": line " + std::to_string(line) + ": " + short_reason(builder.message()));
  }
  return std::move(builder.result());
}

std::string Json::dump() const {
  std::string out;
  Printer(out, 0).print(*this, 0);
  return out;
}

std::string Json::dump_pretty(int indent) const {
  std::string out;
  Printer(out, indent).print(*this, 0);
  return out;
}

bool Json::as_bool() const {
  const bool* value = std::get_if<bool>(&value_);
  if (value == nullptr) wrong_type("a boolean");
  return *value;
}

std::int64_t Json::as_int() const {
  if (const auto* value = std::get_if<std::int64_t>(&value_)) return *value;
  if (const double* value = std::get_if<double>(&value_)) {
    if (std::trunc(*value) == *value && std::fabs(*value) < 9.2e18) return static_cast<std::int64_t>(*value);
  }
  wrong_type("an integer");
}

std::uint64_t Json::as_uint() const {
  if (const auto* value = std::get_if<std::uint64_t>(&value_)) return *value;
  const std::int64_t value = as_int();
  if (value < 0) wrong_type("a number from 0");
  return static_cast<std::uint64_t>(value);
}

double Json::as_double() const {
  if (const double* value = std::get_if<double>(&value_)) return *value;
  if (const auto* value = std::get_if<std::uint64_t>(&value_)) return static_cast<double>(*value);
  if (const auto* value = std::get_if<std::int64_t>(&value_)) return static_cast<double>(*value);
  wrong_type("a number");
}

const std::string& Json::as_string() const {
  const auto* value = std::get_if<std::string>(&value_);
  if (value == nullptr) wrong_type("a string");
  return *value;
}

const Json::Array& Json::as_array() const {
  if (is_null()) return kNoElements;
  const auto* value = std::get_if<Array>(&value_);
  if (value == nullptr) wrong_type("an array");
  return *value;
}

Json::Array& Json::as_array() {
  if (is_null()) value_ = Array{};
  auto* value = std::get_if<Array>(&value_);
  if (value == nullptr) wrong_type("an array");
  return *value;
}

const Json::Object& Json::as_object() const {
  if (is_null()) return kNoMembers;
  const auto* value = std::get_if<Object>(&value_);
  if (value == nullptr) wrong_type("an object");
  return *value;
}

std::vector<std::string> Json::as_strings() const {
  std::vector<std::string> texts;
  for (const Json& element : as_array()) texts.push_back(element.as_string());
  return texts;
}

std::map<std::string, std::string> Json::as_string_map() const {
  std::map<std::string, std::string> texts;
  for (const auto& [key, value] : as_object()) texts[key] = value.is_null() ? std::string() : value.as_string();
  return texts;
}

const Json* Json::find(std::string_view key) const noexcept {
  const auto* members = std::get_if<Object>(&value_);
  if (members == nullptr) return nullptr;
  for (const Member& member : *members) {
    if (member.first == key) return &member.second;
  }
  return nullptr;
}

Json* Json::find(std::string_view key) noexcept { return const_cast<Json*>(std::as_const(*this).find(key)); }

const Json& Json::at(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) throw Error(ErrorKind::Invalid, "the field \"" + std::string(key) + "\" is missing");
  return *value;
}

const Json& Json::at(std::size_t index) const {
  const Array& elements = as_array();
  if (index >= elements.size()) throw Error(ErrorKind::Invalid, "a JSON array has no element " + std::to_string(index));
  return elements[index];
}

Json& Json::operator[](std::string_view key) {
  if (is_null()) value_ = Object{};
  if (Json* value = find(key)) return *value;
  auto* members = std::get_if<Object>(&value_);
  if (members == nullptr) wrong_type("an object");
  return members->emplace_back(std::string(key), Json()).second;
}

void Json::erase(std::string_view key) {
  if (auto* members = std::get_if<Object>(&value_)) {
    std::erase_if(*members, [&](const Member& member) { return member.first == key; });
  }
}

void Json::push_back(Json value) { as_array().push_back(std::move(value)); }

std::size_t Json::size() const noexcept {
  if (const auto* elements = std::get_if<Array>(&value_)) return elements->size();
  if (const auto* members = std::get_if<Object>(&value_)) return members->size();
  return 0;
}

std::optional<std::string> Json::find_string(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr || value->is_null()) return std::nullopt;
  if (!value->is_string()) wrong_member(key, "a string");
  return value->as_string();
}

std::optional<std::int64_t> Json::find_int(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr || value->is_null()) return std::nullopt;
  if (!value->is_number()) wrong_member(key, "an integer");
  return value->as_int();
}

std::optional<std::uint64_t> Json::find_uint(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr || value->is_null()) return std::nullopt;
  if (!value->is_number()) wrong_member(key, "an integer");
  return in_context("the field \"" + std::string(key) + "\"", [&] { return value->as_uint(); });
}

std::optional<bool> Json::find_bool(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr || value->is_null()) return std::nullopt;
  if (!value->is_bool()) wrong_member(key, "a boolean");
  return value->as_bool();
}

std::string Json::string_or(std::string_view key, std::string_view otherwise) const {
  return find_string(key).value_or(std::string(otherwise));
}

std::int64_t Json::int_or(std::string_view key, std::int64_t otherwise) const {
  return find_int(key).value_or(otherwise);
}

double Json::double_or(std::string_view key, double otherwise) const {
  const Json* value = find(key);
  if (value == nullptr || value->is_null()) return otherwise;
  if (!value->is_number()) wrong_member(key, "a number");
  return value->as_double();
}

bool Json::bool_or(std::string_view key, bool otherwise) const { return find_bool(key).value_or(otherwise); }

std::string Json::require_string(std::string_view key) const {
  if (at(key).is_string()) return at(key).as_string();
  wrong_member(key, "a string");
}

std::int64_t Json::require_int(std::string_view key) const {
  if (at(key).is_number()) return at(key).as_int();
  wrong_member(key, "an integer");
}

std::vector<std::string> Json::strings(std::string_view key) const {
  return in_context(key, [&] {
    const Json* value = find(key);
    return value == nullptr ? std::vector<std::string>{} : value->as_strings();
  });
}

std::map<std::string, std::string> Json::string_map(std::string_view key) const {
  return in_context(key, [&] {
    const Json* value = find(key);
    return value == nullptr ? std::map<std::string, std::string>{} : value->as_string_map();
  });
}

const Json::Array& Json::elements(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr || value->is_null()) return kNoElements;
  if (!value->is_array()) wrong_member(key, "an array");
  return value->as_array();
}

const Json::Object& Json::members(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr || value->is_null()) return kNoMembers;
  if (!value->is_object()) wrong_member(key, "an object");
  return value->as_object();
}

bool operator==(const Json& left, const Json& right) { return left.value_ == right.value_; }

std::string json_quote(std::string_view text) {
  std::string out;
  append_quoted(out, text);
  return out;
}

}  // namespace ctr
