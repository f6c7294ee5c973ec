// Appends what happens to a container to events.jsonl, in the documents that engine/events.h reads.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shim/protocol.h"

namespace ctr {

/// One line, one write. `more` comes on top of the settings' attributes. Never throws: a full disk must not fail a
/// stop.
void write_event(const EventSettings& settings, std::string_view container_id, std::string_view action,
                 const std::vector<std::pair<std::string, std::string>>& more = {}) noexcept;

}  // namespace ctr
