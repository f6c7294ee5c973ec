// The functions that templates may call, and how values are printed and judged.
#pragma once

#include <span>
#include <string>

#include "base/json.h"

namespace ctr {

/// Throws Invalid for an unknown function or arguments that do not fit.
Json call_template_function(const std::string& name, std::span<const Json> arguments);
bool is_template_function(const std::string& name);

/// As Go prints it: text bare, lists as [a b], maps as map[k:v] with sorted keys, null as <no value>.
std::string template_text(const Json& value);
/// False for false, 0, "", null and what is empty.
bool template_truth(const Json& value);

}  // namespace ctr
