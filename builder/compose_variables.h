// The variables in Compose files: $X ${X} ${X:-w} ${X-w} ${X:?w} ${X?w} ${X:+w} ${X+w}, and $$ for a dollar. Quotes
// mean nothing here, which is what sets it apart from word_expansion.h.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"

namespace ctr {

using ComposeLookup = std::function<std::optional<std::string>(std::string_view)>;

/// Throws Error(Invalid): `invalid interpolation format …`, `required variable X is missing a value: …`.
std::string expand_compose_text(std::string_view text, const ComposeLookup& lookup);

/// All strings of a value, not its keys.
Json expand_compose_value(const Json& value, const ComposeLookup& lookup);

}  // namespace ctr
