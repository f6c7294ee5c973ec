#include "builder/bake_variables.h"

#include <utility>

#include "base/text.h"
#include "builder/csv.h"
#include "builder/hcl_scanner.h"
#include "builder/instruction_flags.h"
#include "image/platform.h"

namespace ctr {

namespace {

// All values together; see hcl_weight().
constexpr std::size_t kMaxWeight = 1 << 20;
// A default that uses a variable that uses a variable … recurses.
constexpr std::size_t kMaxOpen = 200;

[[noreturn]] void fail(const std::string& sentence) {
  throw Error(ErrorKind::Invalid, sentence);
}

// The type that a block states: string, number, bool, or a list of one of them; nothing if it states none.
struct StatedType {
  std::string element;
  bool is_list = false;
};

std::optional<StatedType> stated_type(const HclFile& file, const HclBlock& block) {
  const HclAttribute* type = block.body.find("type");
  if (type == nullptr) return std::nullopt;
  const HclExpression& expression = type->value;
  const bool is_list = expression.kind == HclExpression::Kind::Call &&
                       (expression.name == "list" || expression.name == "set") && expression.children.size() == 1;
  const HclExpression& element = is_list ? expression.children.front() : expression;
  const std::string name = element.kind == HclExpression::Kind::Variable ? element.name : "";
  if (name != "string" && name != "number" && name != "bool" && name != "any") {
    fail_at(*file.source, "unsupported type: expected string, number, bool, or list() of one of them",
            expression.offset);
  }
  return StatedType{name, is_list};
}

Json to_type(const std::string& variable, const std::string& type, const std::string& text) {
  if (type == "bool") {
    const std::optional<bool> parsed = parse_bool(text);
    if (!parsed) fail("failed to parse " + variable + " as bool: \"" + text + "\"");
    return Json(*parsed);
  }
  if (type == "number") {
    if (const std::optional<std::int64_t> whole = parse_int(text)) return Json(*whole);
    const std::optional<double> number = parse_double(text);
    if (!number) fail("failed to parse " + variable + " as number: \"" + text + "\"");
    return Json(*number);
  }
  return Json(text);
}

}  // namespace

BakeVariables::BakeVariables(const BakeOptions& options)
    : overrides_(options.variables), environment_(options.environment) {
  values_["BAKE_CMD_CONTEXT"] = Json("cwd://");
  values_["BAKE_LOCAL_PLATFORM"] = Json(host_platform().str());
}

void BakeVariables::add_block(const HclFile& file, const HclBlock& block) {
  if (block.labels.size() != 1) fail_at(*file.source, "a variable block has one label, its name", block.offset);
  for (const HclAttribute& attribute : block.body.attributes) {
    const std::vector<std::string> known = {"default", "description", "type"};
    if (std::find(known.begin(), known.end(), attribute.name) == known.end()) {
      fail_at(*file.source,
              "unsupported argument \"" + attribute.name + "\" of a variable" + did_you_mean(attribute.name, known),
              attribute.offset);
    }
  }
  const HclAttribute* value = block.body.find("default");
  definitions_[block.labels.front()] = {&file, value == nullptr ? nullptr : &value->value, &block};
}

void BakeVariables::add_attribute(const HclFile& file, const HclAttribute& attribute) {
  definitions_[attribute.name] = {&file, &attribute.value, nullptr};
}

std::optional<std::string> BakeVariables::given(const std::string& name) const {
  const auto override = overrides_.find(name);
  if (override != overrides_.end()) return override->second;
  return environment_ ? environment_(name) : std::nullopt;
}

void BakeVariables::fail_undefined(const std::string& name) const {
  std::vector<std::string> known;
  for (const auto& [other, definition] : definitions_) known.push_back(other);
  for (const auto& [other, value] : values_) known.push_back(other);
  throw Error(ErrorKind::NotFound, "undefined variable \"" + name + "\"" + did_you_mean(name, known));
}

Json BakeVariables::convert(const std::string& name, const Definition& definition, const std::string& text,
                            const Json& otherwise) const {
  if (const std::optional<StatedType> type = stated_type(*definition.file, *definition.block)) {
    if (!type->is_list) return to_type(name, type->element, text);
    Json list = Json::array();
    if (text.empty()) return list;
    for (const std::string& element : parse_csv_record(text)) list.push_back(to_type(name, type->element, element));
    return list;
  }
  if (otherwise.is_bool()) return to_type(name, "bool", text);
  if (otherwise.is_number()) return to_type(name, "number", text);
  if (otherwise.is_array() || otherwise.is_object()) {
    fail("variable " + name +
         " can't be set from outside: its default is no string, number or bool, and it states no type");
  }
  return Json(text);
}

Json BakeVariables::find(const std::string& name) {
  const auto found = definitions_.find(name);
  if (found == definitions_.end()) fail_undefined(name);
  const Definition& definition = found->second;
  const HclVariables others = [this](const std::string& other) { return value(other); };
  const std::optional<std::string> text = definition.block == nullptr ? std::nullopt : given(name);
  Json otherwise;
  if (definition.value != nullptr) otherwise = evaluate(*definition.value, others, *definition.file->source);
  if (text) return convert(name, definition, *text, otherwise);
  // Without a default it is empty, as in buildx, unless its type says that there may be nothing.
  if (definition.value == nullptr && !stated_type(*definition.file, *definition.block)) return Json("");
  return otherwise;
}

void BakeVariables::validate(const std::string& name, const Definition& definition) {
  if (definition.block == nullptr) return;
  const HclVariables others = [this](const std::string& other) { return value(other); };
  for (const HclBlock& block : definition.block->body.blocks) {
    const HclAttribute* condition = block.body.find("condition");
    if (block.type != "validation" || condition == nullptr) {
      fail_at(*definition.file->source,
              "unsupported block \"" + block.type + "\": expected validation with a condition", block.offset);
    }
    const Json holds = evaluate(condition->value, others, *definition.file->source);
    if (holds.is_bool() && holds.as_bool()) continue;
    const HclAttribute* message = block.body.find("error_message");
    const Json text = message == nullptr ? Json() : evaluate(message->value, others, *definition.file->source);
    fail_at(*definition.file->source,
            text.is_string() ? text.as_string() : "the value of variable " + name + " is not valid", condition->offset);
  }
}

Json BakeVariables::value(const std::string& name) {
  const auto known = values_.find(name);
  if (known != values_.end()) return known->second;
  if (open_.size() >= kMaxOpen) fail("variables depend on each other too deeply at " + name);
  if (!open_.insert(name).second) fail("variable cycle not allowed for " + name);
  Json result = find(name);
  open_.erase(name);
  weight_ += hcl_weight(result);
  if (weight_ > kMaxWeight) fail("the values of all variables together are too large");
  values_[name] = result;
  validate(name, definitions_.at(name));
  return result;
}

std::vector<BakeVariables::Shown> BakeVariables::list() {
  std::vector<Shown> all;
  for (const auto& [name, definition] : definitions_) {
    if (definition.block == nullptr) continue;
    const Json found = value(name);
    const HclAttribute* description = definition.block->body.find("description");
    const Json about = description == nullptr
                           ? Json()
                           : evaluate(
                                 description->value, [this](const std::string& other) { return value(other); },
                                 *definition.file->source);
    all.push_back({name,
                   found.is_string() ? found.as_string()
                   : found.is_null() ? ""
                                     : found.dump(),
                   about.is_string() ? about.as_string() : ""});
  }
  return all;
}

}  // namespace ctr
