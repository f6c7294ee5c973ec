#include <algorithm>
#include <utility>

#include "builder/hcl.h"
#include "builder/hcl_parser.h"

namespace ctr {

namespace {

void forget_offsets(HclExpression& expression) {
  expression.offset = 0;
  for (HclExpression& child : expression.children) forget_offsets(child);
}

HclExpression expression_of(const Json& value, const SourceText& file);

HclExpression template_of(const std::string& text, const SourceText& file) {
  // Interpolations are parsed in a source of their own: the string as it is once JSON's escapes are gone.
  const SourceText string{file.name, text};
  HclExpression expression = parse_hcl_template(string, string.text, 0, HclTemplateForm::Json, 0);
  forget_offsets(expression);
  return expression;
}

HclExpression expression_of(const Json& value, const SourceText& file) {
  if (value.is_string()) return template_of(value.as_string(), file);
  HclExpression expression;
  if (value.is_array()) {
    expression.kind = HclExpression::Kind::List;
    for (const Json& element : value.as_array()) expression.children.push_back(expression_of(element, file));
  } else if (value.is_object()) {
    expression.kind = HclExpression::Kind::Object;
    for (const auto& [key, member] : value.as_object()) {
      expression.children.push_back(template_of(key, file));
      expression.children.push_back(expression_of(member, file));
    }
  } else {
    expression.literal = value;
  }
  return expression;
}

HclBody body_of(const Json& value, const SourceText& file, const std::vector<std::string>& block_types);

// {"target": {"app": {…}, "db": {…}}}: a block for each member; an array holds several such objects.
void add_blocks(HclBody& body, const std::string& type, const Json& labelled, const SourceText& file) {
  if (labelled.is_array()) {
    for (const Json& element : labelled.as_array()) add_blocks(body, type, element, file);
    return;
  }
  if (!labelled.is_object()) throw Error(ErrorKind::Invalid, file.name + ": \"" + type + "\" must be an object");
  for (const auto& [label, content] : labelled.as_object()) {
    const Json::Array one{content};
    for (const Json& element : content.is_array() ? content.as_array() : one) {
      HclBlock block;
      block.type = type;
      block.labels = {label};
      block.body = body_of(element, file, {});
      body.blocks.push_back(std::move(block));
    }
  }
}

HclBody body_of(const Json& value, const SourceText& file, const std::vector<std::string>& block_types) {
  if (!value.is_object()) throw Error(ErrorKind::Invalid, file.name + ": expected an object");
  HclBody body;
  for (const auto& [name, member] : value.as_object()) {
    if (std::find(block_types.begin(), block_types.end(), name) != block_types.end()) {
      add_blocks(body, name, member, file);
    } else if (!name.starts_with("//")) {  // a comment, by HCL's JSON syntax
      HclAttribute attribute;
      attribute.name = name;
      attribute.value = expression_of(member, file);
      body.attributes.push_back(std::move(attribute));
    }
  }
  return body;
}

}  // namespace

HclFile parse_hcl_json(std::string name, const std::string& text, const std::vector<std::string>& block_types) {
  if (text.size() > kMaxHclBytes) throw Error(ErrorKind::Invalid, name + " is larger than 4 MiB");
  const Json json = Json::parse(text, name);
  HclFile file;
  file.source = std::make_shared<const SourceText>(SourceText{std::move(name), {}});
  file.body = body_of(json, *file.source, block_types);
  return file;
}

}  // namespace ctr
