// Names on shared ground: interfaces and tables belong to the whole machine, so they begin with "ctr" and carry a mark
// that says whose they are. Nothing is deleted, nor taken over, whose mark is another's.
#pragma once

#include <string>
#include <string_view>

#include "base/paths.h"

namespace ctr {

/// Kept as a bridge's alias and a table's comment: "ctr /run/ctr".
std::string owner_mark(const Paths& paths);

/// "" for the machine's usual store, "-1a2b3c4d" for others, so that stores side by side have tables of their own.
std::string owner_suffix(const Paths& paths);

/// `digits` (at most 16) hexadecimal digits that depend on the text alone.
std::string short_hash(std::string_view text, std::size_t digits);

}  // namespace ctr
