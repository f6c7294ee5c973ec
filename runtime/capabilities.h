// Linux capabilities as bit masks and by name.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ctr {

/// "CAP_CHOWN", "chown", "Cap_Chown" -> its number; nothing for a name that no kernel knows.
std::optional<int> capability_number(std::string_view name);
/// "CAP_CHOWN"; the number as text when it has no name here.
std::string capability_name(int number);

/// Names in order of their numbers.
std::vector<std::string> capability_names(std::uint64_t mask);

/// Every capability that the running kernel has.
std::uint64_t all_capabilities();
/// The bounding set of this process: what a container may have at most.
std::uint64_t own_bounding_set();

/// Docker's --cap-add and --cap-drop (names in any case, with or without CAP_, "ALL") on top of `base`.
/// Throws Invalid for an unknown name.
std::uint64_t tweak_capabilities(std::uint64_t base, const std::vector<std::string>& add,
                                 const std::vector<std::string>& drop);

/// The sets that Docker gives a process with this bounding set: bounding, permitted, effective; nothing inheritable.
struct CapabilitySets;
CapabilitySets docker_capability_sets(std::uint64_t bounding);

}  // namespace ctr
