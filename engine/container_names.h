// Names for containers that nobody named: an adjective and the surname of somebody who found something out.
#pragma once

#include <string>

namespace ctr {

/// Such as "patient_noether". Not unique: the caller claims it and asks again if it is taken.
std::string generate_container_name();

}  // namespace ctr
