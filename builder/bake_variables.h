// The variables of HCL bake files: `variable` blocks, attributes outside blocks, and buildx's own. A value is found
// when it is first asked for: --var, then the environment, then the default, which may use other variables.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "builder/bake.h"
#include "builder/hcl.h"

namespace ctr {

class BakeVariables {
 public:
  explicit BakeVariables(const BakeOptions& options);

  void add_block(const HclFile& file, const HclBlock& block);
  void add_attribute(const HclFile& file, const HclAttribute& attribute);

  /// Throws Error(NotFound) `undefined variable "x"`, with a suggestion, and for cycles.
  Json value(const std::string& name);

  struct Shown {
    std::string name;
    std::string value;
    std::string description;
  };
  /// The variable blocks, for --list=variables.
  std::vector<Shown> list();

 private:
  struct Definition {
    const HclFile* file = nullptr;
    const HclExpression* value = nullptr;  // nullptr: no default
    const HclBlock* block = nullptr;       // nullptr: an attribute, which the environment does not override
  };

  std::optional<std::string> given(const std::string& name) const;
  Json find(const std::string& name);
  Json convert(const std::string& name, const Definition& definition, const std::string& text,
               const Json& otherwise) const;
  void validate(const std::string& name, const Definition& definition);
  [[noreturn]] void fail_undefined(const std::string& name) const;

  std::map<std::string, std::string> overrides_;
  std::function<std::optional<std::string>(std::string_view)> environment_;
  std::map<std::string, Definition> definitions_;
  std::map<std::string, Json> values_;
  std::set<std::string> open_;
  std::size_t weight_ = 0;
};

}  // namespace ctr
