// The parsed form of a template: text, actions, and the pipelines of commands inside them. Shared by the parser and the
// renderer; nobody else needs it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace ctr {

struct TemplatePipeline;

/// One word of a command: a constant, a field path on dot or on a variable, a function's name, or a pipeline in
/// parentheses (with fields behind it).
struct TemplateOperand {
  enum class Kind { Constant, Field, Variable, Function, Pipeline } kind = Kind::Constant;
  Json constant;
  std::string name;                 // of a variable or function
  std::vector<std::string> fields;  // .A.B behind it; for Field with none: dot itself
  std::shared_ptr<TemplatePipeline> pipeline;
};

struct TemplateCommand {
  std::vector<TemplateOperand> operands;
};

struct TemplatePipeline {
  std::vector<std::string> declares;  // $x := …, or $i, $e := … in range
  bool is_assignment = false;         // $x = …
  std::vector<TemplateCommand> commands;
};

struct TemplateNode {
  enum class Kind { Text, Action, If, With, Range, List, Break, Continue } kind = Kind::List;
  std::string text;
  TemplatePipeline pipeline;
  std::vector<std::unique_ptr<TemplateNode>> body;
  std::vector<std::unique_ptr<TemplateNode>> otherwise;
};

/// Throws Invalid "template parsing error: …".
std::unique_ptr<TemplateNode> parse_template(std::string_view text);

}  // namespace ctr
