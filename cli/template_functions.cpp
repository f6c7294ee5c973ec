#include "cli/template_functions.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <functional>
#include <map>

#include "base/error.h"
#include "base/text.h"

namespace ctr {

namespace {

using Arguments = std::span<const Json>;

[[noreturn]] void fail(const std::string& why) { throw Error(ErrorKind::Invalid, "template: " + why); }

void want(const char* name, Arguments arguments, std::size_t count) {
  if (arguments.size() != count) {
    fail(std::string("wrong number of args for ") + name + ": want " + std::to_string(count) + " got " +
         std::to_string(arguments.size()));
  }
}

const std::string& text_of(const char* name, const Json& value) {
  if (!value.is_string()) fail(std::string(name) + " needs a text, not " + value.dump());
  return value.as_string();
}

std::size_t count_of(const char* name, const Json& value) {
  if (!value.is_number() || value.as_int() < 0 || value.as_int() > 1000000) fail(std::string(name) + " needs a number from 0");
  return static_cast<std::size_t>(value.as_int());
}

Json index(Arguments arguments) {
  if (arguments.empty()) fail("index needs a list or a map");
  Json value = arguments.front();
  for (const Json& key : arguments.subspan(1)) {
    if (value.is_array()) {
      const auto at = key.is_number() ? key.as_int() : -1;
      if (at < 0 || at >= static_cast<std::int64_t>(value.size())) {
        fail("error calling index: index out of range: " + key.dump());
      }
      Json element = value.at(static_cast<std::size_t>(at));
      value = std::move(element);
    } else if (value.is_object()) {
      const Json* member = value.find(text_of("index", key));
      // A map of Go gives the zero value of its element type for a missing key; our maps hold texts.
      Json element = member != nullptr ? *member : Json("");
      value = std::move(element);
    } else if (value.is_null()) {
      return "";
    } else {
      fail("error calling index: can't index item of type " + value.dump());
    }
  }
  return value;
}

Json length(Arguments arguments) {
  want("len", arguments, 1);
  const Json& value = arguments.front();
  if (value.is_string()) return value.as_string().size();
  if (value.is_number() || value.is_bool()) fail("error calling len: len of type " + value.dump());
  return value.size();
}

/// -1, 0 or 1; texts with texts, numbers with numbers.
int compare(const char* name, const Json& left, const Json& right) {
  if (left.is_string() && right.is_string()) return left.as_string().compare(right.as_string());
  if (left.is_number() && right.is_number()) {
    const double difference = left.as_double() - right.as_double();
    return difference < 0 ? -1 : difference > 0 ? 1 : 0;
  }
  fail(std::string("error calling ") + name + ": incompatible types for comparison");
}

bool equal(const Json& left, const Json& right) {
  if (left.is_number() && right.is_number()) return left.as_double() == right.as_double();
  return left == right;
}

Json equal_to_any(Arguments arguments) {
  if (arguments.size() < 2) fail("wrong number of args for eq: want at least 2");
  return std::any_of(arguments.begin() + 1, arguments.end(),
                     [&](const Json& other) { return equal(arguments.front(), other); });
}

Json join_list(Arguments arguments) {
  want("join", arguments, 2);
  std::vector<std::string> parts;
  for (const Json& part : arguments[0].as_array()) parts.push_back(template_text(part));
  return join(parts, text_of("join", arguments[1]));
}

std::string title(std::string text) {
  bool at_start = true;
  for (char& c : text) {
    if (at_start && c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
    at_start = c == ' ' || c == '\t' || c == '\n' || c == '-';
  }
  return text;
}

std::string spaced(Arguments arguments) {
  std::string text;
  for (const Json& argument : arguments) {
    if (&argument != arguments.data()) text.push_back(' ');
    text.append(template_text(argument));
  }
  return text;
}

std::string format_one(const std::string& flags, char verb, const Json& value) {
  std::array<char, 512> buffer;
  const std::string text = template_text(value);
  switch (verb) {
    case 'd':
      std::snprintf(buffer.data(), buffer.size(), ("%" + flags + "ld").c_str(), static_cast<long>(value.as_int()));
      return buffer.data();
    case 'x':
    case 'o':
    case 'X':
      if (value.is_number()) {
        std::snprintf(buffer.data(), buffer.size(), ("%" + flags + "l" + verb).c_str(), static_cast<long>(value.as_int()));
        return buffer.data();
      }
      [[fallthrough]];
    case 'f':
    case 'g':
    case 'e':
      if (value.is_number()) {
        std::snprintf(buffer.data(), buffer.size(), ("%" + flags + verb).c_str(), value.as_double());
        return buffer.data();
      }
      return std::string("%!") + verb + "(" + text + ")";
    case 'q':
      return json_quote(text);
    default: {
      // %s, %v, %t: width and precision of the text.
      const auto parts = split(flags, '.');
      std::string shown = parts.size() > 1 ? text.substr(0, parse_uint(parts[1]).value_or(0)) : text;
      const bool left = parts.front().starts_with('-');
      const std::uint64_t width = std::min<std::uint64_t>(parse_uint(without_prefix(parts.front(), "-")).value_or(0), 1000);
      if (shown.size() < width) shown.insert(left ? shown.size() : 0, width - shown.size(), ' ');
      return shown;
    }
  }
}

Json print_formatted(Arguments arguments) {
  if (arguments.empty()) fail("printf needs a format");
  const std::string& format = text_of("printf", arguments.front());
  std::string out;
  std::size_t next = 1;
  for (std::size_t at = 0; at < format.size(); ++at) {
    if (format[at] != '%') {
      out.push_back(format[at]);
      continue;
    }
    std::size_t end = at + 1;
    while (end < format.size() && std::string_view("+-# 0123456789.").find(format[end]) != std::string_view::npos) ++end;
    if (end >= format.size() || end - at > 12) return out + "%!(NOVERB)";
    if (format[end] == '%') {
      out.push_back('%');
    } else if (next < arguments.size()) {
      out += format_one(format.substr(at + 1, end - at - 1), format[end], arguments[next++]);
    } else {
      out += std::string("%!") + format[end] + "(MISSING)";
    }
    at = end;
  }
  return out;
}

Json truncate(Arguments arguments) {
  want("truncate", arguments, 2);
  return text_of("truncate", arguments[0]).substr(0, count_of("truncate", arguments[1]));
}

Json pad(Arguments arguments) {
  want("pad", arguments, 3);
  const std::string& text = text_of("pad", arguments[0]);
  if (text.empty()) return text;
  return std::string(count_of("pad", arguments[1]), ' ') + text + std::string(count_of("pad", arguments[2]), ' ');
}

Json slice(Arguments arguments) {
  if (arguments.empty()) fail("slice needs a text or list");
  const std::size_t size = arguments[0].is_string() ? arguments[0].as_string().size() : arguments[0].size();
  const std::size_t from = arguments.size() > 1 ? count_of("slice", arguments[1]) : 0;
  const std::size_t to = arguments.size() > 2 ? count_of("slice", arguments[2]) : size;
  if (from > to || to > size) fail("error calling slice: index out of range");
  if (arguments[0].is_string()) return arguments[0].as_string().substr(from, to - from);
  const Json::Array& all = arguments[0].as_array();
  return Json(Json::Array(all.begin() + static_cast<std::ptrdiff_t>(from), all.begin() + static_cast<std::ptrdiff_t>(to)));
}

using Function = std::function<Json(Arguments)>;

Function on_text(const char* name, std::string (*function)(std::string_view)) {
  return [=](Arguments arguments) -> Json {
    want(name, arguments, 1);
    return function(text_of(name, arguments[0]));
  };
}

Function comparison(const char* name, bool (*holds)(int)) {
  return [=](Arguments arguments) -> Json {
    want(name, arguments, 2);
    return holds(compare(name, arguments[0], arguments[1]));
  };
}

const std::map<std::string, Function>& functions() {
  static const std::map<std::string, Function> kFunctions = {
      {"json", [](Arguments a) -> Json { want("json", a, 1); return a[0].dump(); }},
      {"join", join_list},
      {"split",
       [](Arguments a) -> Json {
         want("split", a, 2);
         const std::string& separator = text_of("split", a[1]);
         if (separator.size() != 1) fail("split needs a separator of one character");
         return Json(split(text_of("split", a[0]), separator.front()));
       }},
      {"upper", on_text("upper", upper)},
      {"lower", on_text("lower", lower)},
      {"title", [](Arguments a) -> Json { want("title", a, 1); return title(text_of("title", a[0])); }},
      {"pad", pad},
      {"truncate", truncate},
      {"println", [](Arguments a) -> Json { return spaced(a) + "\n"; }},
      {"print", [](Arguments a) -> Json { return spaced(a); }},
      {"printf", print_formatted},
      {"index", index},
      {"slice", slice},
      {"len", length},
      {"eq", equal_to_any},
      {"ne", [](Arguments a) -> Json { want("ne", a, 2); return !equal(a[0], a[1]); }},
      {"lt", comparison("lt", [](int order) { return order < 0; })},
      {"le", comparison("le", [](int order) { return order <= 0; })},
      {"gt", comparison("gt", [](int order) { return order > 0; })},
      {"ge", comparison("ge", [](int order) { return order >= 0; })},
      {"not", [](Arguments a) -> Json { want("not", a, 1); return !template_truth(a[0]); }},
      {"and",
       [](Arguments a) -> Json {
         for (const Json& value : a) {
           if (!template_truth(value)) return value;
         }
         return a.empty() ? Json() : a.back();
       }},
      {"or",
       [](Arguments a) -> Json {
         for (const Json& value : a) {
           if (template_truth(value)) return value;
         }
         return a.empty() ? Json() : a.back();
       }},
  };
  return kFunctions;
}

}  // namespace

bool is_template_function(const std::string& name) { return functions().contains(name); }

Json call_template_function(const std::string& name, std::span<const Json> arguments) {
  const auto found = functions().find(name);
  if (found == functions().end()) fail("function \"" + name + "\" not defined");
  return found->second(arguments);
}

std::string template_text(const Json& value) {
  if (value.is_string()) return value.as_string();
  if (value.is_null()) return "<no value>";
  if (value.is_array()) {
    std::vector<std::string> parts;
    for (const Json& element : value.as_array()) parts.push_back(template_text(element));
    return "[" + join(parts, " ") + "]";
  }
  if (value.is_object()) {
    std::vector<std::string> parts;
    for (const auto& [key, member] : value.as_object()) parts.push_back(key + ":" + template_text(member));
    std::sort(parts.begin(), parts.end());
    return "map[" + join(parts, " ") + "]";
  }
  return value.dump();
}

bool template_truth(const Json& value) {
  if (value.is_bool()) return value.as_bool();
  if (value.is_number()) return value.as_double() != 0;
  if (value.is_string()) return !value.as_string().empty();
  return !value.empty();
}

}  // namespace ctr
