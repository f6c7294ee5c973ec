// The entries of a bake target's lists: text or object to keys and values and back to the text that the parsers of
// build_options.h take.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "builder/bake_target.h"

namespace ctr {

enum class BakeEntryKind { Cache, Output, Secret, Ssh, Attest };

/// From `type=registry,ref=x`, a shorthand, or an object. Several for `a,b` of the cache kinds; none for "".
std::vector<BakeEntry> bake_entries(BakeEntryKind kind, const Json& value);

/// The text that --output, --cache-to, --secret, --ssh take.
std::string bake_entry_text(BakeEntryKind kind, const BakeEntry& entry);

Json bake_entry_json(BakeEntryKind kind, const BakeEntry& entry);

}  // namespace ctr
