// How the parsers of spec.cpp and spec_resources.cpp read members: each error gets the member's path in front.
#pragma once

#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/error.h"
#include "base/json.h"

namespace ctr::spec_reader {

inline constexpr std::size_t kMaxElements = 65536;

/// Reads `key` of `object` with `read`, putting the key in front of whatever goes wrong there.
template <typename Read>
auto member(const Json& object, std::string_view key, Read read) {
  static const Json kNull;
  const Json* value = object.find(key);
  return in_context(key, [&] { return read(value == nullptr ? kNull : *value); });
}

template <typename T, typename Read>
std::vector<T> list(const Json& object, std::string_view key, Read read) {
  return member(object, key, [&](const Json& value) {
    std::vector<T> result;
    const Json::Array& elements = value.as_array();
    if (elements.size() > kMaxElements) throw Error(ErrorKind::Invalid, "has too many elements");
    result.reserve(elements.size());
    for (std::size_t index = 0; index < elements.size(); ++index) {
      result.push_back(in_context("[" + std::to_string(index) + "]", [&] { return read(elements[index]); }));
    }
    return result;
  });
}

template <typename T>
std::optional<T> number(const Json& object, std::string_view key) {
  if constexpr (std::is_unsigned_v<T>) {
    const auto value = object.find_uint(key);
    if (!value) return std::nullopt;
    if (*value > std::numeric_limits<T>::max()) {
      throw Error(ErrorKind::Invalid, std::string(key) + " is " + std::to_string(*value) + ", which is out of range");
    }
    return static_cast<T>(*value);
  } else {
    const auto value = object.find_int(key);
    if (!value) return std::nullopt;
    if (*value > std::numeric_limits<T>::max() || *value < std::numeric_limits<T>::min()) {
      throw Error(ErrorKind::Invalid, std::string(key) + " is " + std::to_string(*value) + ", which is out of range");
    }
    return static_cast<T>(*value);
  }
}

/// Like number, but a value of -1 (which some callers write for "unlimited") is the largest one.
inline std::uint64_t limit_value(const Json& object, std::string_view key) {
  const Json& value = object.at(key);
  if (value.is_int() && value.as_int() == -1) return std::numeric_limits<std::uint64_t>::max();
  return value.as_uint();
}

/// A text that becomes a C string or a line of a file of the kernel.
inline std::string checked(std::string text) {
  if (text.find('\0') != std::string::npos) throw Error(ErrorKind::Invalid, "holds a zero byte");
  return text;
}

inline std::vector<std::string> texts(const Json& object, std::string_view key) {
  return list<std::string>(object, key, [](const Json& value) { return checked(value.as_string()); });
}

template <typename T, typename Read>
std::optional<T> maybe(const Json& object, std::string_view key, Read read) {
  const Json* value = object.find(key);
  if (value == nullptr || value->is_null()) return std::nullopt;
  return in_context(key, [&] {
    value->as_object();
    return std::optional<T>(read(*value));
  });
}

inline std::map<std::string, std::string> text_map(const Json& object, std::string_view key) {
  return member(object, key, [](const Json& value) {
    auto map = value.as_string_map();
    for (const auto& [name, text] : map) checked(name + text);
    return map;
  });
}

}  // namespace ctr::spec_reader
