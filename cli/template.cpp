#include "cli/template.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "cli/template_functions.h"
#include "cli/template_syntax.h"

namespace ctr {

Template::Template(std::unique_ptr<TemplateNode> root) : root_(std::move(root)) {}
Template::~Template() = default;
Template::Template(Template&&) noexcept = default;
Template& Template::operator=(Template&&) noexcept = default;

Template Template::parse(std::string_view text) { return Template(parse_template(text)); }

namespace {

[[noreturn]] void fail(const std::string& why) { throw Error(ErrorKind::Invalid, "template: " + why); }

using Nodes = std::vector<std::unique_ptr<TemplateNode>>;

class Renderer {
 public:
  Renderer(const Json& data, const Json& methods, FieldNames names)
      : root_(data), methods_(methods), names_(names), dot_(&data) {
    variables_.emplace_back("$", data);
  }

  std::string take() && { return std::move(out_); }

  enum class Flow { Next, Break, Continue };

  Flow render(const Nodes& nodes) {
    for (const auto& node : nodes) {
      if (const Flow flow = render(*node); flow != Flow::Next) return flow;
      if (out_.size() > 64 * 1024 * 1024) fail("the output is too large");
    }
    return Flow::Next;
  }

 private:
  Flow render(const TemplateNode& node) {
    switch (node.kind) {
      case TemplateNode::Kind::Text:
        out_ += node.text;
        return Flow::Next;
      case TemplateNode::Kind::Action: {
        const Json value = evaluate(node.pipeline);
        if (node.pipeline.declares.empty()) out_ += template_text(value);
        return Flow::Next;
      }
      case TemplateNode::Kind::If:
      case TemplateNode::Kind::With:
        return render_choice(node);
      case TemplateNode::Kind::Range:
        return render_range(node);
      case TemplateNode::Kind::List:
        return render(node.body);
      case TemplateNode::Kind::Break:
        return Flow::Break;
      case TemplateNode::Kind::Continue:
        return Flow::Continue;
    }
    return Flow::Next;
  }

  Flow render_choice(const TemplateNode& node) {
    const std::size_t scope = variables_.size();
    const Json value = evaluate(node.pipeline);
    Flow flow;
    if (!template_truth(value)) {
      flow = render(node.otherwise);
    } else if (node.kind == TemplateNode::Kind::With) {
      const Json* before = std::exchange(dot_, &value);
      flow = render(node.body);
      dot_ = before;
    } else {
      flow = render(node.body);
    }
    variables_.erase(variables_.begin() + static_cast<std::ptrdiff_t>(scope), variables_.end());
    return flow;
  }

  Flow render_range(const TemplateNode& node) {
    TemplatePipeline plain = node.pipeline;
    plain.declares.clear();
    const Json value = evaluate(plain);
    std::vector<std::pair<Json, Json>> items;
    if (value.is_object()) {
      for (const auto& [key, member] : value.as_object()) items.emplace_back(key, member);
      std::sort(items.begin(), items.end(),
                [](const auto& left, const auto& right) { return left.first.as_string() < right.first.as_string(); });
    } else if (value.is_array()) {
      for (const Json& element : value.as_array()) items.emplace_back(items.size(), element);
    } else if (!value.is_null()) {
      fail("range can't iterate over " + value.dump());
    }
    if (items.empty()) return render(node.otherwise);
    for (const auto& [key, element] : items) {
      const std::size_t scope = variables_.size();
      if (node.pipeline.declares.size() == 2) variables_.emplace_back(node.pipeline.declares[0], key);
      if (!node.pipeline.declares.empty()) variables_.emplace_back(node.pipeline.declares.back(), element);
      const Json* before = std::exchange(dot_, &element);
      const Flow flow = render(node.body);
      dot_ = before;
      variables_.erase(variables_.begin() + static_cast<std::ptrdiff_t>(scope), variables_.end());
      if (flow == Flow::Break) break;
    }
    return Flow::Next;
  }

  Json evaluate(const TemplatePipeline& pipeline) {
    Json value;
    bool has_value = false;
    for (const TemplateCommand& command : pipeline.commands) {
      value = evaluate(command, has_value ? &value : nullptr);
      has_value = true;
    }
    if (pipeline.is_assignment) {
      variable(pipeline.declares.front()) = value;
    } else if (!pipeline.declares.empty()) {
      variables_.emplace_back(pipeline.declares.front(), value);
    }
    return value;
  }

  Json evaluate(const TemplateCommand& command, const Json* piped) {
    const TemplateOperand& first = command.operands.front();
    if (first.kind == TemplateOperand::Kind::Function) {
      std::vector<Json> arguments;
      for (std::size_t i = 1; i < command.operands.size(); ++i) arguments.push_back(evaluate(command.operands[i]));
      if (piped != nullptr) arguments.push_back(*piped);
      return call_template_function(first.name, arguments);
    }
    if (command.operands.size() > 1 || piped != nullptr) {
      if (first.kind == TemplateOperand::Kind::Field && first.fields.size() == 1 && command.operands.size() == 2) {
        if (const Json* method = methods_.find(first.fields.front())) {
          const Json* found = method->find(template_text(evaluate(command.operands[1])));
          return found != nullptr ? *found : Json("");
        }
      }
      fail("can't give argument to non-function");
    }
    return evaluate(first);
  }

  Json evaluate(const TemplateOperand& operand) {
    switch (operand.kind) {
      case TemplateOperand::Kind::Constant:
        return operand.constant;
      case TemplateOperand::Kind::Function:
        return call_template_function(operand.name, {});
      case TemplateOperand::Kind::Field:
        return follow(*dot_, operand.fields, dot_ == &root_);
      case TemplateOperand::Kind::Variable:
        return follow(variable(operand.name), operand.fields, operand.name == "$");
      case TemplateOperand::Kind::Pipeline:
        return follow(evaluate(*operand.pipeline), operand.fields, false);
    }
    return {};
  }

  /// A field that the document itself lacks is a mistake; one that a part of it lacks has no value.
  Json follow(Json value, const std::vector<std::string>& fields, bool is_root) {
    for (const std::string& field : fields) {
      const Json* member = find_member(value, field);
      if (member == nullptr && (is_root || !(value.is_object() || value.is_null()))) {
        fail("can't evaluate field " + field + (is_root ? ": there is no such field" : " in " + value.dump()));
      }
      Json next = member != nullptr ? *member : Json();
      value = std::move(next);
      is_root = false;
    }
    return value;
  }

  const Json* find_member(const Json& value, const std::string& field) const {
    const Json* member = value.find(field);
    if (member != nullptr || names_ == FieldNames::Exact || !value.is_object()) return member;
    for (const Json::Member& each : value.as_object())
      if (lower(each.first) == lower(field)) return value.find(each.first);
    return nullptr;
  }

  Json& variable(const std::string& name) {
    for (auto entry = variables_.rbegin(); entry != variables_.rend(); ++entry) {
      if (entry->first == name) return entry->second;
    }
    fail("undefined variable \"" + name + "\"");
  }

  const Json& root_;
  const Json& methods_;
  FieldNames names_;
  const Json* dot_;
  std::vector<std::pair<std::string, Json>> variables_;
  std::string out_;
};

}  // namespace

std::string Template::render(const Json& data, const Json& methods, FieldNames names) const {
  Renderer renderer(data, methods, names);
  renderer.render(root_->body);
  return std::move(renderer).take();
}

}  // namespace ctr
