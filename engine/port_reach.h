// From where published ports can be reached, in words for `ctr port` and `ctr info`: by their address, by who carries the
// packets (the kernel, or the shim, which hides the client's address), and by firewalls of others that drop what none of
// their rules accepts. What single rules of those say is not read.
#pragma once

#include <string>
#include <vector>

#include "engine/container_record.h"
#include "engine/containers.h"
#include "engine/context.h"
#include "runtime/network_firewall.h"

namespace ctr {

enum class PortCarrier { Kernel, Shim };

std::string reach_words(const PortSummary& port, PortCarrier carrier, const std::vector<DroppingChain>& foreign);

/// Looks at the machine once, for many ports.
class PortReach {
 public:
  explicit PortReach(Context& context);
  std::string words(const ContainerRecord& record, const PortSummary& port) const;

 private:
  Context& context_;
  std::vector<DroppingChain> foreign_;
  bool has_kernel_path_;
};

}  // namespace ctr
