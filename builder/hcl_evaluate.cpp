#include <cmath>
#include <limits>
#include <utility>

#include "base/text.h"
#include "builder/hcl.h"
#include "builder/hcl_scanner.h"

namespace ctr {

namespace {

constexpr std::size_t kMaxTextBytes = 4 << 20;
// A value may hold others twice, and these others twice: without a bound thirty lines fill the memory.
constexpr std::size_t kMaxWeight = 1 << 18;

std::string type_name(const Json& value) {
  if (value.is_null()) return "null";
  if (value.is_bool()) return "a bool";
  if (value.is_number()) return "a number";
  if (value.is_string()) return "a string";
  return value.is_array() ? "a list" : "an object";
}

class Evaluator {
 public:
  Evaluator(const HclVariables& variables, const SourceText& source) : variables_(variables), source_(source) {}

  Json value(const HclExpression& expression);

 private:
  [[noreturn]] void fail(const HclExpression& expression, const std::string& sentence) const {
    fail_at(source_, sentence, expression.offset);
  }
  Json variable(const HclExpression& expression);
  Json joined(const HclExpression& expression);
  Json object(const HclExpression& expression);
  Json unary(const HclExpression& expression);
  Json binary(const HclExpression& expression);
  Json arithmetic(const HclExpression& expression, double left, double right) const;
  Json index(const HclExpression& expression);
  bool boolean(const HclExpression& expression);
  double number(const HclExpression& expression);

  const HclVariables& variables_;
  const SourceText& source_;
  std::size_t text_bytes_ = 0;
  std::size_t weight_ = 0;
};

Json from_double(double number) {
  constexpr double kLargest = 9007199254740992.0;  // 2^53: beyond it a double is no whole number for sure
  if (std::trunc(number) == number && std::fabs(number) <= kLargest) return Json(static_cast<std::int64_t>(number));
  return Json(number);
}

Json Evaluator::value(const HclExpression& expression) {
  using Kind = HclExpression::Kind;
  switch (expression.kind) {
    case Kind::Literal:
      return expression.literal;
    case Kind::Template:
      return joined(expression);
    case Kind::Variable:
      return variable(expression);
    case Kind::Object:
      return object(expression);
    case Kind::Unary:
      return unary(expression);
    case Kind::Binary:
      return binary(expression);
    case Kind::Index:
      return index(expression);
    case Kind::Conditional:
      return value(expression.children[boolean(expression.children[0]) ? 1 : 2]);
    case Kind::Call:
      fail(expression, "HCL functions are not supported yet: " + expression.name + "()");
    case Kind::Unsupported:
      fail(expression, expression.name + " is not supported yet");
    case Kind::List:
      break;
  }
  Json list = Json::array();
  for (const HclExpression& child : expression.children) list.push_back(value(child));
  return list;
}

Json Evaluator::variable(const HclExpression& expression) {
  try {
    Json result = variables_(expression.name);
    weight_ += hcl_weight(result);
    if (weight_ > kMaxWeight) fail(expression, "the value is too large");
    return result;
  } catch (const SourceError&) {
    throw;  // it has its place already: the variable's own definition
  } catch (const Error& error) {
    fail(expression, error.what());
  }
}

Json Evaluator::joined(const HclExpression& expression) {
  if (expression.children.size() == 1) return value(expression.children.front());
  std::string text;
  for (const HclExpression& child : expression.children) {
    const Json part = value(child);
    try {
      text += hcl_text(part, "a value in a template");
    } catch (const Error& error) {
      fail(child, error.what());
    }
    if (text_bytes_ + text.size() > kMaxTextBytes) fail(child, "the text is too long");
  }
  text_bytes_ += text.size();
  return Json(std::move(text));
}

Json Evaluator::object(const HclExpression& expression) {
  Json result = Json::object();
  for (std::size_t i = 0; i + 1 < expression.children.size(); i += 2) {
    const HclExpression& key = expression.children[i];
    std::string name;
    const Json key_value = value(key);
    try {
      name = hcl_text(key_value, "a key");
    } catch (const Error& error) {
      fail(key, error.what());
    }
    result[name] = value(expression.children[i + 1]);
  }
  return result;
}

bool Evaluator::boolean(const HclExpression& expression) {
  const Json result = value(expression);
  if (result.is_bool()) return result.as_bool();
  const std::optional<bool> parsed =
      result.is_string() && (result.as_string() == "true" || result.as_string() == "false")
          ? std::optional(result.as_string() == "true")
          : std::nullopt;
  if (!parsed) fail(expression, "expected true or false, not " + type_name(result));
  return *parsed;
}

double Evaluator::number(const HclExpression& expression) {
  const Json result = value(expression);
  if (result.is_number()) return result.as_double();
  const std::optional<double> parsed = result.is_string() ? parse_double(result.as_string()) : std::nullopt;
  if (!parsed) fail(expression, "expected a number, not " + type_name(result));
  return *parsed;
}

Json Evaluator::unary(const HclExpression& expression) {
  if (expression.name == "!") return Json(!boolean(expression.children[0]));
  return from_double(-number(expression.children[0]));
}

Json Evaluator::arithmetic(const HclExpression& expression, double left, double right) const {
  const std::string& name = expression.name;
  if ((name == "/" || name == "%") && right == 0) fail(expression, "division by zero");
  if (name == "+") return from_double(left + right);
  if (name == "-") return from_double(left - right);
  if (name == "*") return from_double(left * right);
  if (name == "/") return from_double(left / right);
  if (name == "%") return from_double(std::fmod(left, right));
  if (name == "<") return Json(left < right);
  if (name == ">") return Json(left > right);
  return Json(name == "<=" ? left <= right : left >= right);
}

Json Evaluator::binary(const HclExpression& expression) {
  const HclExpression& left = expression.children[0];
  const HclExpression& right = expression.children[1];
  const std::string& name = expression.name;
  if (name == "&&") return Json(boolean(left) && boolean(right));
  if (name == "||") return Json(boolean(left) || boolean(right));
  if (name == "==" || name == "!=") {
    const Json one = value(left);
    const Json other = value(right);
    const bool both_numbers = one.is_number() && other.is_number();
    const bool equal = both_numbers ? one.as_double() == other.as_double() : one == other;
    return Json(equal == (name == "=="));
  }
  const double one = number(left);
  return arithmetic(expression, one, number(right));
}

Json Evaluator::index(const HclExpression& expression) {
  const Json container = value(expression.children[0]);
  const Json key = value(expression.children[1]);
  if (container.is_object() && key.is_string()) {
    if (const Json* member = container.find(key.as_string())) return *member;
    fail(expression, "there is no \"" + key.as_string().substr(0, 60) + "\" here");
  }
  if (container.is_array() && key.is_int()) {
    const std::int64_t position = key.as_int();
    if (position >= 0 && static_cast<std::size_t>(position) < container.size()) {
      return container.as_array()[static_cast<std::size_t>(position)];
    }
    fail(expression, "the list has no element " + std::to_string(position));
  }
  fail(expression, type_name(container) + " can't be indexed with " + type_name(key));
}

}  // namespace

std::size_t hcl_weight(const Json& value) {
  std::size_t weight = 1;
  if (value.is_string()) weight += value.as_string().size() / 64;
  if (value.is_array()) {
    for (const Json& element : value.as_array()) weight += hcl_weight(element);
  }
  if (value.is_object()) {
    for (const auto& [key, member] : value.as_object()) weight += 1 + key.size() / 64 + hcl_weight(member);
  }
  return weight;
}

std::string hcl_text(const Json& value, std::string_view what) {
  if (value.is_string()) return value.as_string();
  if (value.is_bool()) return value.as_bool() ? "true" : "false";
  if (value.is_number()) return value.dump();
  throw Error(ErrorKind::Invalid, std::string(what) + " must be a string, not " + type_name(value));
}

Json evaluate(const HclExpression& expression, const HclVariables& variables, const SourceText& source) {
  return Evaluator(variables, source).value(expression);
}

}  // namespace ctr
