// What this machine can do for containers, found out by doing it: each ability is yes, or no and why.
#pragma once

#include <string>
#include <vector>

#include "engine/context.h"

namespace ctr {

struct Ability {
  std::string name;  // "overlay", "erofs layers", "qemu-user for linux/arm64"
  bool available = false;
  std::string reason;  // why not, or how
};

std::vector<Ability> probe_abilities(Context& context);

}  // namespace ctr
