// YAML text as a JSON value: mappings keep their order, `null`, booleans and numbers as in YAML 1.2, aliases copied,
// merge keys (<<) applied. One document. libyaml reads the text; its header is seen by yaml.cpp alone.
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"

namespace ctr {

/// Throws Error(Invalid): "<what>:3:1: …". Refuses more than 100,000 values, aliases included, and nesting beyond 100.
Json parse_yaml(std::string_view text, const std::string& what);

}  // namespace ctr
