// The part of Go's text/template that scripts use behind --format: fields, pipelines, variables, if, with, range, and
// Docker's functions (json, join, split, table…). Works on JSON values with Docker's field names.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/json.h"

namespace ctr {

struct TemplateNode;

/// Whether {{.Digest}} also finds "digest": documents of registries, which Docker keeps in structs, have such names.
enum class FieldNames { Exact, AnyCase };

class Template {
 public:
  /// Throws Invalid: "template parsing error: …" with the position.
  static Template parse(std::string_view text);
  ~Template();
  Template(Template&&) noexcept;
  Template& operator=(Template&&) noexcept;

  /// `methods` are looked up for fields with arguments, such as {{.Label "name"}}: an object of objects. Throws Invalid
  /// when the template asks for what is not there.
  std::string render(const Json& data, const Json& methods = {}, FieldNames names = FieldNames::Exact) const;

 private:
  explicit Template(std::unique_ptr<TemplateNode> root);
  std::unique_ptr<TemplateNode> root_;
};

}  // namespace ctr
