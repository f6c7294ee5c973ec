// What the shim has to know of a container: the member "shim" of its record.
#pragma once

#include "engine/container_record.h"
#include "engine/context.h"

namespace ctr {

/// Fills record.shim (but its root) from the rest of the record. Throws Invalid for log options that don't exist.
void set_shim_settings(const Context& context, ContainerRecord& record);

/// The attributes of a container's events: its labels, image and name.
StringMap event_attributes(const ContainerRecord& record);

}  // namespace ctr
