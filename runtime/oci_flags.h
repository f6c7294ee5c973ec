// Flags as runc takes them (those of Go's cli library): -f, --flag, -flag value, --flag=value, booleans with =false,
// and
// "--" or the first argument ends them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ctr {

/// "name" or "name,n"; `takes_value` when an argument follows.
struct OciFlag {
  std::string_view names;
  enum class Kind { Switch, Value } kind;
};

class OciFlags {
 public:
  /// Parses from the front of `arguments`; what is left is rest(). Throws Invalid for an unknown flag.
  OciFlags(std::vector<std::string> arguments, const std::vector<OciFlag>& known);

  bool is_set(std::string_view name) const;
  /// A switch that was given and not as "=false".
  bool is_on(std::string_view name) const;
  std::optional<std::string> value(std::string_view name) const;
  std::string value_or(std::string_view name, std::string_view otherwise) const;
  std::vector<std::string> values(std::string_view name) const;
  std::optional<std::int64_t> number(std::string_view name) const;

  const std::vector<std::string>& rest() const noexcept { return rest_; }

 private:
  struct Given {
    std::string name;
    std::string value;
  };
  std::vector<Given> given_;
  std::vector<std::string> rest_;
};

}  // namespace ctr
