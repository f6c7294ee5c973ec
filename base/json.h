// JSON values: null, bool, integer, double, text, array and object, whose members keep their order. Parsing is
// nlohmann_json's, seen by json.cpp alone, because its header costs seconds in every file that includes it.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace ctr {

class Json {
 public:
  using Member = std::pair<std::string, Json>;
  using Array = std::vector<Json>;
  using Object = std::vector<Member>;

  Json() = default;
  Json(std::nullptr_t) {}
  Json(bool value) : value_(value) {}
  Json(int value) : value_(std::int64_t{value}) {}
  Json(long value) : value_(std::int64_t{value}) {}
  Json(long long value) : value_(std::int64_t{value}) {}
  Json(unsigned value) : value_(std::int64_t{value}) {}
  /// Exact up to the largest unsigned 64-bit integer; above the largest signed one it is_large() and not is_int().
  Json(unsigned long value);
  Json(double value) : value_(value) {}
  Json(const char* value) : value_(std::string(value)) {}
  Json(std::string_view value) : value_(std::string(value)) {}
  Json(std::string value) : value_(std::move(value)) {}
  Json(Array value);
  Json(const std::vector<std::string>& values);
  Json(const std::map<std::string, std::string>& values);
  template <typename T>
  Json(T*) = delete;

  static Json array() { return Json(Array{}); }
  static Json object();
  static Json object(std::initializer_list<Member> members);

  /// Throws Invalid: "<what>: line 3: ...". Refuses nesting deeper than 200 and text that is not UTF-8. Of members
  /// with one name the last stays.
  static Json parse(std::string_view text, std::string_view what = "JSON");

  /// Compact text, as Go's encoder writes it but without its escapes for HTML.
  std::string dump() const;
  /// Indented by `indent` blanks a level.
  std::string dump_pretty(int indent = 2) const;

  bool is_null() const noexcept { return std::holds_alternative<std::nullptr_t>(value_); }
  bool is_bool() const noexcept { return std::holds_alternative<bool>(value_); }
  bool is_int() const noexcept { return std::holds_alternative<std::int64_t>(value_); }
  bool is_double() const noexcept { return std::holds_alternative<double>(value_); }
  bool is_large() const noexcept { return std::holds_alternative<std::uint64_t>(value_); }
  bool is_number() const noexcept { return is_int() || is_double() || is_large(); }
  bool is_string() const noexcept { return std::holds_alternative<std::string>(value_); }
  bool is_array() const noexcept { return std::holds_alternative<Array>(value_); }
  bool is_object() const noexcept { return std::holds_alternative<Object>(value_); }

  /// The value as that type; throws Invalid when it is another.
  bool as_bool() const;
  std::int64_t as_int() const;
  std::uint64_t as_uint() const;
  double as_double() const;
  const std::string& as_string() const;
  /// The elements; none for null.
  const Array& as_array() const;
  Array& as_array();
  /// The members in order; none for null.
  const Object& as_object() const;
  /// The elements as texts; throws Invalid when one is not.
  std::vector<std::string> as_strings() const;
  std::map<std::string, std::string> as_string_map() const;

  /// The member of that name, or nullptr (also when this is no object).
  const Json* find(std::string_view key) const noexcept;
  Json* find(std::string_view key) noexcept;
  bool contains(std::string_view key) const noexcept { return find(key) != nullptr; }
  /// The member of that name; throws Invalid when it is missing.
  const Json& at(std::string_view key) const;
  const Json& at(std::size_t index) const;
  /// The member of that name, made (as null) when it is missing. A null becomes an object first.
  Json& operator[](std::string_view key);
  void erase(std::string_view key);
  /// A null becomes an array first.
  void push_back(Json value);
  std::size_t size() const noexcept;
  bool empty() const noexcept { return size() == 0; }

  /// Typed members. Absent and null count as absent; another type throws Invalid with the member's name.
  std::string string_or(std::string_view key, std::string_view otherwise = {}) const;
  std::int64_t int_or(std::string_view key, std::int64_t otherwise = 0) const;
  double double_or(std::string_view key, double otherwise = 0) const;
  bool bool_or(std::string_view key, bool otherwise = false) const;
  std::string require_string(std::string_view key) const;
  std::int64_t require_int(std::string_view key) const;
  std::optional<std::string> find_string(std::string_view key) const;
  std::optional<std::int64_t> find_int(std::string_view key) const;
  std::optional<std::uint64_t> find_uint(std::string_view key) const;
  std::optional<bool> find_bool(std::string_view key) const;
  /// Empty when absent or null.
  std::vector<std::string> strings(std::string_view key) const;
  std::map<std::string, std::string> string_map(std::string_view key) const;
  /// The elements of an array member; none when absent or null.
  const Array& elements(std::string_view key) const;
  /// The members of an object member; none when absent or null.
  const Object& members(std::string_view key) const;

  friend bool operator==(const Json& left, const Json& right);

 private:
  std::variant<std::nullptr_t, bool, std::int64_t, std::uint64_t, double, std::string, Array, Object> value_;
};

/// The text as a JSON string, quotes included. Bytes that are not UTF-8 become U+FFFD.
std::string json_quote(std::string_view text);

}  // namespace ctr
