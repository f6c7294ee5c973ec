#include "builder/hcl_parser.h"

#include <utility>

#include "base/text.h"

namespace ctr {

namespace {

constexpr std::size_t kMaxAttributes = 5'000;

// From the loosest to the tightest.
const std::vector<std::vector<std::string_view>> kOperators = {
    {"||"}, {"&&"}, {"==", "!="}, {"<", ">", "<=", ">="}, {"+", "-"}, {"*", "/", "%"}};

// Counts nesting, so that a hostile file can't exhaust the stack.
class Nested {
 public:
  Nested(int& depth, const SourceText& source, std::size_t offset) : depth_(depth) {
    if (++depth_ > kMaxHclDepth) fail_at(source, "nested too deeply", offset);
  }
  ~Nested() { --depth_; }
  Nested(const Nested&) = delete;
  Nested& operator=(const Nested&) = delete;

 private:
  int& depth_;
};

}  // namespace

HclParser::HclParser(const SourceText& source, std::size_t begin, std::size_t end, int depth)
    : source_(source), scanner_(source, begin, end), depth_(depth) {
  advance();
}

void HclParser::advance() {
  do {
    token_ = scanner_.next();
  } while (newlines_ == Newlines::Skip && token_.kind == HclToken::Kind::Newline);
}

void HclParser::skip_newlines() {
  while (token_.kind == HclToken::Kind::Newline) advance();
}

std::string HclParser::token_text() const {
  if (token_.kind == HclToken::Kind::End) return "the end of the file";
  if (token_.kind == HclToken::Kind::Newline) return "the end of the line";
  return "\"" + std::string(token_.text.substr(0, 60)) + "\"";
}

void HclParser::fail(const std::string& sentence) const {
  scanner_.fail(sentence, token_.offset);
}

void HclParser::expect(std::string_view symbol, std::string_view why) {
  if (!at(symbol)) fail("expected " + std::string(symbol) + " " + std::string(why) + ", not " + token_text());
  advance();
}

HclExpression HclParser::make(HclExpression::Kind kind, std::size_t offset) {
  HclExpression expression;
  expression.kind = kind;
  expression.offset = offset;
  return expression;
}

// ---- structure ----

HclBody HclParser::parse_file() {
  return parse_body({});
}

HclBody HclParser::parse_body(std::string_view close) {
  const Nested nested(depth_, source_, token_.offset);
  HclBody body;
  for (skip_newlines(); token_.kind != HclToken::Kind::End && !(at(close) && !close.empty()); skip_newlines()) {
    parse_item(body);
    const bool ends =
        token_.kind == HclToken::Kind::Newline || token_.kind == HclToken::Kind::End || (!close.empty() && at(close));
    if (!ends) fail("expected the end of the line, not " + token_text());
  }
  return body;
}

void HclParser::parse_item(HclBody& body) {
  if (token_.kind != HclToken::Kind::Name) fail("expected the name of an attribute or block, not " + token_text());
  const HclToken name = token_;
  advance();
  if (!at("=")) {
    parse_block(body, name);
    return;
  }
  advance();
  HclAttribute attribute;
  attribute.name = name.text;
  attribute.offset = name.offset;
  if (body.attributes.size() >= kMaxAttributes) scanner_.fail("too many attributes", name.offset);
  if (body.find(attribute.name) != nullptr) {
    scanner_.fail("attribute " + attribute.name + " is set twice", name.offset);
  }
  attribute.value = parse_expression();
  body.attributes.push_back(std::move(attribute));
}

std::string HclParser::parse_label() {
  std::string label(token_.text);
  if (token_.kind == HclToken::Kind::Quoted && label.find_first_of("\\$%") != std::string::npos) {
    fail("a block's label must be plain text");
  }
  advance();
  return label;
}

void HclParser::parse_block(HclBody& body, const HclToken& type) {
  HclBlock block;
  block.type = type.text;
  block.offset = type.offset;
  while (token_.kind == HclToken::Kind::Quoted || token_.kind == HclToken::Kind::Name)
    block.labels.push_back(parse_label());
  expect("{", "or = after \"" + block.type + "\"");
  block.body = parse_body("}");
  if (!at("}")) fail("expected } at the end of block \"" + block.type + "\", not " + token_text());
  advance();
  body.blocks.push_back(std::move(block));
}

// ---- expressions ----

HclExpression HclParser::parse_interpolation() {
  newlines_ = Newlines::Skip;
  if (token_.kind == HclToken::Kind::Newline) advance();
  HclExpression expression = parse_expression();
  if (token_.kind != HclToken::Kind::End) fail("expected }, not " + token_text());
  return expression;
}

HclExpression HclParser::parse_expression() {
  const Nested nested(depth_, source_, token_.offset);
  HclExpression condition = parse_binary(0);
  if (!at("?")) return condition;
  HclExpression result = make(HclExpression::Kind::Conditional, token_.offset);
  advance();
  skip_newlines();
  HclExpression yes = parse_expression();
  skip_newlines();
  expect(":", "in the condition");
  skip_newlines();
  HclExpression no = parse_expression();
  result.children = {std::move(condition), std::move(yes), std::move(no)};
  return result;
}

HclExpression HclParser::parse_binary(int level) {
  if (level == static_cast<int>(kOperators.size())) return parse_unary();
  HclExpression left = parse_binary(level + 1);
  const auto is_operator = [&] {
    for (const std::string_view symbol : kOperators[static_cast<std::size_t>(level)]) {
      if (at(symbol)) return true;
    }
    return false;
  };
  // A chain a + b + c grows to the left: its depth counts too.
  for (int chain = 0; is_operator(); ++chain) {
    if (chain > kMaxHclDepth) fail("too many operators in a row");
    HclExpression result = make(HclExpression::Kind::Binary, token_.offset);
    result.name = token_.text;
    advance();
    skip_newlines();
    HclExpression right = parse_binary(level + 1);
    result.children = {std::move(left), std::move(right)};
    left = std::move(result);
  }
  return left;
}

HclExpression HclParser::parse_unary() {
  if (!at("!") && !at("-")) return parse_postfix();
  const Nested nested(depth_, source_, token_.offset);
  HclExpression result = make(HclExpression::Kind::Unary, token_.offset);
  result.name = token_.text;
  advance();
  result.children.push_back(parse_unary());
  return result;
}

HclExpression HclParser::parse_postfix() {
  HclExpression value = parse_primary();
  for (int chain = 0; at(".") || at("["); ++chain) {
    if (chain > kMaxHclDepth) fail("nested too deeply");
    const bool is_attribute = at(".");
    HclExpression result = make(HclExpression::Kind::Index, token_.offset);
    const Newlines outer = std::exchange(newlines_, is_attribute ? newlines_ : Newlines::Skip);
    advance();
    if (at("*")) {
      result.kind = HclExpression::Kind::Unsupported;
      result.name = "the splat operator";
      advance();
    } else if (!is_attribute) {
      result.children = {std::move(value), parse_expression()};
    } else if (token_.kind == HclToken::Kind::Name || token_.kind == HclToken::Kind::Number) {
      HclExpression key = make(HclExpression::Kind::Literal, token_.offset);
      key.literal = token_.kind == HclToken::Kind::Name ? Json(token_.text) : Json(parse_int(token_.text).value_or(-1));
      result.children = {std::move(value), std::move(key)};
      advance();
    } else {
      fail("expected a name after ., not " + token_text());
    }
    newlines_ = outer;
    if (!is_attribute) expect("]", "after the index");
    value = std::move(result);
  }
  return value;
}

HclExpression HclParser::parse_primary() {
  const HclToken token = token_;
  switch (token.kind) {
    case HclToken::Kind::Name:
      return parse_name();
    case HclToken::Kind::Number:
      return parse_number();
    case HclToken::Kind::Quoted:
      advance();
      return parse_hcl_template(source_, token.text, token.offset, HclTemplateForm::Quoted, depth_);
    case HclToken::Kind::Heredoc:
      advance();
      return token.flush_indentation
                 ? parse_hcl_flush_heredoc(source_, token.text, token.offset, depth_)
                 : parse_hcl_template(source_, token.text, token.offset, HclTemplateForm::Heredoc, depth_);
    default:
      break;
  }
  if (at("[")) return parse_list();
  if (at("{")) return parse_object();
  if (!at("(")) fail("expected a value, not " + token_text());
  const Newlines outer = std::exchange(newlines_, Newlines::Skip);
  advance();
  HclExpression inner = parse_expression();
  newlines_ = outer;
  expect(")", "after the expression");
  return inner;
}

HclExpression HclParser::parse_name() {
  const HclToken name = token_;
  advance();
  if (at("(")) return parse_call(name);
  HclExpression result = make(HclExpression::Kind::Literal, name.offset);
  if (name.text == "true" || name.text == "false") {
    result.literal = name.text == "true";
  } else if (name.text != "null") {
    result.kind = HclExpression::Kind::Variable;
    result.name = name.text;
  }
  return result;
}

HclExpression HclParser::parse_number() {
  HclExpression result = make(HclExpression::Kind::Literal, token_.offset);
  if (const std::optional<std::int64_t> whole = parse_int(token_.text)) {
    result.literal = *whole;
  } else if (const std::optional<double> number = parse_double(token_.text)) {
    result.literal = *number;
  } else {
    fail("\"" + std::string(token_.text.substr(0, 60)) + "\" is no number");
  }
  advance();
  return result;
}

HclExpression HclParser::parse_call(const HclToken& name) {
  HclExpression call = make(HclExpression::Kind::Call, name.offset);
  call.name = name.text;
  const Newlines outer = std::exchange(newlines_, Newlines::Skip);
  advance();
  while (!at(")")) {
    call.children.push_back(parse_expression());
    if (at("...")) advance();
    if (!at(",")) break;
    advance();
  }
  newlines_ = outer;
  expect(")", "after the arguments of " + call.name);
  return call;
}

// [for …] and {for …}: skipped to its end, refused when evaluated.
HclExpression HclParser::parse_comprehension(std::string_view close) {
  HclExpression result = make(HclExpression::Kind::Unsupported, token_.offset);
  result.name = "a for expression";
  for (int open = 0; !(open == 0 && at(close)); advance()) {
    if (token_.kind == HclToken::Kind::End) fail("expected " + std::string(close) + ", not the end of the file");
    if (at("[") || at("{") || at("(")) ++open;
    if (at("]") || at("}") || at(")")) --open;
  }
  return result;
}

HclExpression HclParser::parse_list() {
  HclExpression list = make(HclExpression::Kind::List, token_.offset);
  const Newlines outer = std::exchange(newlines_, Newlines::Skip);
  advance();
  if (token_.kind == HclToken::Kind::Name && token_.text == "for") {
    list = parse_comprehension("]");
  } else {
    while (!at("]")) {
      list.children.push_back(parse_expression());
      if (!at(",")) break;
      advance();
    }
  }
  newlines_ = outer;
  expect("]", "or , in the list");
  return list;
}

// A bare name is the key itself, not a variable; (name) is the variable.
HclExpression HclParser::parse_object_key() {
  if (token_.kind != HclToken::Kind::Name) return parse_expression();
  HclExpression key = make(HclExpression::Kind::Literal, token_.offset);
  key.literal = token_.text;
  advance();
  return key;
}

HclExpression HclParser::parse_object() {
  HclExpression object = make(HclExpression::Kind::Object, token_.offset);
  const Newlines outer = std::exchange(newlines_, Newlines::Matter);
  advance();
  skip_newlines();
  if (token_.kind == HclToken::Kind::Name && token_.text == "for") object = parse_comprehension("}");
  while (object.kind == HclExpression::Kind::Object && !at("}")) {
    object.children.push_back(parse_object_key());
    if (!at("=") && !at(":")) fail("expected = after the key, not " + token_text());
    advance();
    skip_newlines();
    object.children.push_back(parse_expression());
    if (!at(",") && token_.kind != HclToken::Kind::Newline) break;
    if (at(",")) advance();
    skip_newlines();
  }
  newlines_ = outer;
  expect("}", "or a new line in the object");
  return object;
}

const HclAttribute* HclBody::find(std::string_view name) const noexcept {
  for (const HclAttribute& attribute : attributes) {
    if (attribute.name == name) return &attribute;
  }
  return nullptr;
}

HclFile parse_hcl(std::string name, std::string text) {
  if (text.size() > kMaxHclBytes) throw Error(ErrorKind::Invalid, name + " is larger than 4 MiB");
  HclFile file;
  file.source = std::make_shared<const SourceText>(SourceText{std::move(name), std::move(text)});
  const std::size_t begin = file.source->text.starts_with("\xEF\xBB\xBF") ? 3 : 0;
  file.body = HclParser(*file.source, begin, file.source->text.size(), 0).parse_file();
  return file;
}

}  // namespace ctr
