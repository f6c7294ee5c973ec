// HCL, the language of docker-bake.hcl, and its JSON form: text to a tree of attributes, blocks and expressions, and
// the value of an expression. Plain HCL: literals, templates, heredocs, lists, objects, operators, conditions,
// variables. Function calls, `for`, splats and template directives are understood and refused by name when they are
// evaluated.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "builder/source_range.h"

namespace ctr {

struct HclExpression {
  enum class Kind {
    Literal,      ///< `literal`
    Template,     ///< the children's texts joined; a single child keeps its type
    Variable,     ///< `name`
    List,         ///< children
    Object,       ///< children in pairs: key, value
    Unary,        ///< `name` is ! or -
    Binary,       ///< `name` is the operator
    Conditional,  ///< condition, then, else
    Index,        ///< object, key: both a[b] and a.b
    Call,         ///< `name`, arguments
    Unsupported,  ///< `name` says what
  };
  Kind kind = Kind::Literal;
  Json literal;
  std::string name;
  std::vector<HclExpression> children;
  std::size_t offset = 0;  ///< in the file; 0 throughout the JSON form
};

struct HclAttribute {
  std::string name;
  HclExpression value;
  std::size_t offset = 0;
};

struct HclBlock;
struct HclBody {
  std::vector<HclAttribute> attributes;
  std::vector<HclBlock> blocks;

  const HclAttribute* find(std::string_view name) const noexcept;
};

struct HclBlock {
  std::string type;
  std::vector<std::string> labels;
  HclBody body;
  std::size_t offset = 0;
};

/// A file's body. The source stays alive as long as the file, for errors that are found later.
struct HclFile {
  SharedSource source;
  HclBody body;
};

inline constexpr std::size_t kMaxHclBytes = 4 << 20;

/// Throws SourceError.
HclFile parse_hcl(std::string name, std::string text);

/// The same from JSON: an object is a body, `"target": {"app": {…}}` a block, strings are templates. `block_types`
/// tells blocks from attributes.
HclFile parse_hcl_json(std::string name, const std::string& text, const std::vector<std::string>& block_types);

/// The value of a variable; throws if there is none.
using HclVariables = std::function<Json(const std::string& name)>;

/// Throws SourceError at the expression that is wrong.
Json evaluate(const HclExpression& expression, const HclVariables& variables, const SourceText& source);

/// Roughly what a value costs in memory, in units of 64 bytes.
std::size_t hcl_weight(const Json& value);

/// A text, number or bool as text; throws Error(Invalid) for anything else. `what` names it.
std::string hcl_text(const Json& value, std::string_view what);

}  // namespace ctr
