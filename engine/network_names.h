// Which networks a container is meant for.
#pragma once

#include <string>
#include <vector>

#include "engine/container_record.h"

namespace ctr {

/// Names as the record has them; none for the modes none, host and container:X.
std::vector<std::string> network_names_of(const ContainerRecord& record);

}  // namespace ctr
