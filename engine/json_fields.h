// Structs to JSON and back from one list of fields. A struct gets `template <class V> void fields(V& visit, T& value)`
// that names each member once; FieldWriter and FieldReader walk it. What Go's `omitempty` does, and whether a nil list
// prints as null or [], is said beside the field, for these are what scripts see in `inspect`.
#pragma once

#include <concepts>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "base/error.h"
#include "base/json.h"

namespace ctr {

/// How a field that is empty or zero prints in the full form.
enum class Empty {
  Shown,    // "", 0, false, [], {}
  Null,     // a list or object without elements is null
  Omitted,  // Go's omitempty
};

template <typename T>
void write_value(Json& out, const T& value, bool compact);
template <typename T>
void read_value(const Json& json, T& value, const char* key);

template <typename T>
struct is_vector : std::false_type {};
template <typename T>
struct is_vector<std::vector<T>> : std::true_type {};
template <typename T>
struct is_map : std::false_type {};
template <typename T>
struct is_map<std::map<std::string, T>> : std::true_type {};
template <typename T>
struct is_optional : std::false_type {};
template <typename T>
struct is_optional<std::optional<T>> : std::true_type {};

template <typename T>
bool is_empty_value(const T& value) {
  if constexpr (std::is_same_v<T, std::string> || is_vector<T>::value || is_map<T>::value) {
    return value.empty();
  } else if constexpr (is_optional<T>::value) {
    return !value.has_value();
  } else if constexpr (std::is_arithmetic_v<T>) {
    return value == T{};
  } else {
    return false;
  }
}

class FieldWriter {
 public:
  FieldWriter(Json& object, bool compact) : object_(object), compact_(compact) {}

  template <typename T>
  void operator()(const char* key, const T& value, Empty empty = Empty::Shown) {
    if (is_empty_value(value)) {
      if (compact_ || empty == Empty::Omitted) return;
      if (empty == Empty::Null || is_optional<T>::value) {
        object_[key] = nullptr;
        return;
      }
    }
    Json written;
    write_value(written, value, compact_);
    if (compact_ && written.is_object() && written.empty() && !is_optional<T>::value) return;
    object_[key] = std::move(written);
  }

  /// A list of names that Docker writes as an object of empty objects (ExposedPorts, Volumes).
  void set(const char* key, const std::vector<std::string>& names, Empty empty) {
    if (names.empty() && (compact_ || empty == Empty::Omitted)) return;
    Json members = names.empty() ? Json() : Json::object();
    for (const std::string& name : names) members[name] = Json::object();
    object_[key] = std::move(members);
  }

 private:
  Json& object_;
  bool compact_;
};

class FieldReader {
 public:
  explicit FieldReader(const Json& object) : object_(object) {}

  template <typename T>
  void operator()(const char* key, T& value, Empty = Empty::Shown) {
    const Json* found = object_.find(key);
    if (found != nullptr && !found->is_null()) read_value(*found, value, key);
  }

  void set(const char* key, std::vector<std::string>& names, Empty) {
    const Json* found = object_.find(key);
    if (found == nullptr) return;
    for (const Json::Member& member : found->as_object()) names.push_back(member.first);
  }

 private:
  const Json& object_;
};

template <typename T>
void write_value(Json& out, const T& value, bool compact) {
  if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, bool> || std::is_same_v<T, double>) {
    out = Json(value);
  } else if constexpr (std::is_integral_v<T>) {
    if constexpr (std::is_signed_v<T>) {
      out = Json(static_cast<long long>(value));
    } else {
      out = Json(static_cast<unsigned long>(value));
    }
  } else if constexpr (std::is_enum_v<T>) {
    out = Json(static_cast<long long>(value));
  } else if constexpr (is_optional<T>::value) {
    if (value) write_value(out, *value, compact);
  } else if constexpr (is_vector<T>::value) {
    out = Json::array();
    for (const auto& element : value) {
      Json written;
      write_value(written, element, compact);
      out.push_back(std::move(written));
    }
  } else if constexpr (is_map<T>::value) {
    out = Json::object();
    for (const auto& [key, element] : value) write_value(out[key], element, compact);
  } else {
    out = Json::object();
    FieldWriter writer(out, compact);
    fields(writer, const_cast<T&>(value));  // one list serves both directions; a writer only reads
  }
}

[[noreturn]] inline void wrong_type(const char* key, const char* wanted) {
  throw Error(ErrorKind::Invalid, std::string("\"") + key + "\" must be " + wanted);
}

template <typename T>
void read_value(const Json& json, T& value, const char* key) {
  if constexpr (std::is_same_v<T, std::string>) {
    if (!json.is_string()) wrong_type(key, "a string");
    value = json.as_string();
  } else if constexpr (std::is_same_v<T, bool>) {
    if (!json.is_bool()) wrong_type(key, "true or false");
    value = json.as_bool();
  } else if constexpr (std::is_integral_v<T> || std::is_enum_v<T>) {
    if (!json.is_int()) wrong_type(key, "a whole number");
    const std::int64_t number = json.as_int();
    if constexpr (std::is_integral_v<T>) {
      if (!std::in_range<T>(number)) wrong_type(key, "a smaller number");
    }
    value = static_cast<T>(number);
  } else if constexpr (is_optional<T>::value) {
    value.emplace();
    read_value(json, *value, key);
  } else if constexpr (is_vector<T>::value) {
    if (!json.is_array()) wrong_type(key, "a list");
    value.clear();
    for (const Json& element : json.as_array()) {
      value.emplace_back();
      if (!element.is_null()) read_value(element, value.back(), key);
    }
  } else if constexpr (is_map<T>::value) {
    if (!json.is_object()) wrong_type(key, "an object");
    for (const Json::Member& member : json.as_object()) {
      auto& element = value[member.first];
      if (!member.second.is_null()) read_value(member.second, element, key);
    }
  } else {
    if (!json.is_object()) wrong_type(key, "an object");
    FieldReader reader(json);
    fields(reader, value);
  }
}

}  // namespace ctr
