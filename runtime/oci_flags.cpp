#include "runtime/oci_flags.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace ctr {

namespace {

/// The flag's first name, under which it is kept.
std::string main_name(const OciFlag& flag) {
  return split(flag.names, ',').front();
}

const OciFlag* find_flag(const std::vector<OciFlag>& known, std::string_view name) {
  for (const OciFlag& flag : known) {
    const std::vector<std::string> names = split(flag.names, ',');
    if (std::find(names.begin(), names.end(), name) != names.end()) return &flag;
  }
  return nullptr;
}

}  // namespace

OciFlags::OciFlags(std::vector<std::string> arguments, const std::vector<OciFlag>& known) {
  std::size_t at = 0;
  for (; at < arguments.size(); ++at) {
    const std::string& argument = arguments[at];
    if (argument == "--") {
      ++at;
      break;
    }
    if (argument.size() < 2 || argument[0] != '-') break;
    const std::string body(without_prefix(without_prefix(argument, "-"), "-"));
    const auto pair = cut(body, '=');
    const OciFlag* flag = find_flag(known, pair ? pair->first : body);
    if (flag == nullptr) throw Error(ErrorKind::Invalid, "flag provided but not defined: " + argument);
    std::string value = pair ? pair->second : "true";
    if (!pair && flag->kind == OciFlag::Kind::Value) {
      if (at + 1 == arguments.size()) throw Error(ErrorKind::Invalid, "flag needs an argument: " + argument);
      value = arguments[++at];
    }
    given_.push_back({main_name(*flag), std::move(value)});
  }
  rest_.assign(arguments.begin() + static_cast<std::ptrdiff_t>(at), arguments.end());
}

bool OciFlags::is_set(std::string_view name) const {
  return value(name).has_value();
}

bool OciFlags::is_on(std::string_view name) const {
  const auto given = value(name);
  return given && parse_bool(*given).value_or(false);
}

std::optional<std::string> OciFlags::value(std::string_view name) const {
  for (auto one = given_.rbegin(); one != given_.rend(); ++one) {
    if (one->name == name) return one->value;
  }
  return std::nullopt;
}

std::string OciFlags::value_or(std::string_view name, std::string_view otherwise) const {
  return value(name).value_or(std::string(otherwise));
}

std::vector<std::string> OciFlags::values(std::string_view name) const {
  std::vector<std::string> all;
  for (const Given& one : given_) {
    if (one.name == name) all.push_back(one.value);
  }
  return all;
}

std::optional<std::int64_t> OciFlags::number(std::string_view name) const {
  const auto text = value(name);
  if (!text) return std::nullopt;
  const auto parsed = parse_int(*text);
  if (!parsed) throw Error(ErrorKind::Invalid, "invalid value \"" + *text + "\" for flag -" + std::string(name));
  return parsed;
}

}  // namespace ctr
